"""kill -9 of Redis under a stream of submissions: what was acknowledged is there, and once."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from services.cluster.jobs.records import JobRecord
from tests.faults.report import FaultReport
from tests.faults.scene import LEASE_SECONDS, Scene
from tests.faults.worker import KIND
from tests.faults.worker_process import ROOT

pytestmark = pytest.mark.faults

_NUM_KILLS = 6
_SUBMITTERS = [f"submitter-{number}" for number in range(8)]
_PROCESSES = [_SUBMITTERS[:4], _SUBMITTERS[4:]]
_PATIENCE_SECONDS = 30.0
_PAGE = 500


@contextmanager
def submitting(redis_url: str, log: Path) -> Iterator[None]:
    """They are killed as well at the end."""
    with ExitStack() as stack:
        for names in _PROCESSES:
            command = [sys.executable, "-m", "tests.faults.submitter", redis_url, str(log), *names]
            process = stack.enter_context(subprocess.Popen(command, cwd=ROOT))
            stack.callback(process.kill)
        yield


def acknowledged(log: Path) -> list[tuple[str, str]]:
    """(idempotency key, job_id), in the order of the answers."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [(key, job_id) for key, _, job_id in (line.partition(" ") for line in lines)]


async def until_everybody_is_answered(log: Path, after: int) -> None:
    """Returns when each submitter has got an answer after the first so many."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        names = {key.partition("/")[0] for key, _ in acknowledged(log)[after:]}
        if names == set(_SUBMITTERS):
            return
        assert time.monotonic() < deadline, f"only {sorted(names)} go on"
        await asyncio.sleep(0.05)


async def all_jobs(scene: Scene) -> Sequence[JobRecord]:
    await scene.store.wait_ready(_PATIENCE_SECONDS)
    found: list[JobRecord] = []
    while page := await scene.queue.history(KIND, len(found), _PAGE):
        found += page
    return found


async def test_every_acknowledged_job_is_there_and_none_twice(scene: Scene, tmp_path: Path) -> None:
    log = tmp_path / "acknowledged.log"
    chance = random.Random(7)
    with submitting(scene.redis.url, log):
        await until_everybody_is_answered(log, 0)
        for _ in range(_NUM_KILLS):
            await asyncio.sleep(chance.uniform(0.1, 0.8))  # at any moment of the stream
            num_answers = len(acknowledged(log))
            scene.redis.kill()
            scene.redis.start()
            await until_everybody_is_answered(log, num_answers)
    answers = acknowledged(log)
    jobs = {job.job_id: job for job in await all_jobs(scene)}
    lost = [
        key for key, job_id in answers if job_id not in jobs or jobs[job_id].payload != {"key": key}
    ]
    keys = Counter(job.payload["key"] for job in jobs.values())
    assert [key for key, num_jobs in keys.items() if num_jobs != 1] == []
    # A key is known for ever: whoever asks again gets the job of the first time.
    for key, job_id in answers[:: max(1, len(answers) // 50)]:
        again = await scene.queue.enqueue(KIND, {"key": key}, idempotency_key=key)
        assert again == jobs[job_id]
    injected = f"Redis killed {_NUM_KILLS} times under {len(_SUBMITTERS)} submitters"
    scene.judge(FaultReport(injected, len(answers), len(lost), None, None, LEASE_SECONDS))
