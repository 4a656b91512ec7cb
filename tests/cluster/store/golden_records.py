"""The golden records of older schemas, and that today's classes still read all of them."""

from __future__ import annotations

from pathlib import Path

import redis.asyncio

from services.cluster.datasets import Datasets
from services.cluster.identity import Identity, digest
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobProgress, JobStatus
from services.cluster.project_records import SourceCounts
from services.cluster.projects import Projects
from services.cluster.registry import Registry
from services.cluster.runs import EvaluationVerdict, RunPhase, Runs
from services.cluster.sources import Sources
from services.cluster.store import records_file
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from services.cluster.store.snapshot import write_contents

GOLDEN = Path(__file__).with_name("golden") / "schema-1.jsonl"
MODEL = "hearth/starter-coder"
TOKEN = "hearth_d60ff591f0e5_XalbHFiZkGuqQKtZlX-Hhsg-Wm2YvKXThPLFmewYTEo"  # of no other Hearth
SCAN, LATER_SCAN = "scan-4f6f41f0bea1", "scan-6e0ec6cb371e"
RUN, FAILED, RUNNING = "run-df50b5b234c8", "run-ef91c3fc91a4", "run-15ae153f44ee"
WAITING, CANCELLED = "run-d11f8c7a7779", "evaluate-aff901578d2d"
CAPS_VERSION = 1795554894
LEASE_TOKENS = 5


async def load(client: redis.asyncio.Redis) -> None:
    """As a Redis of schema 1 is found by today's code: its processes are long gone."""
    with GOLDEN.open("rb") as file:
        header = records_file.check(file)
        await write_contents(client, records_file.contents(file))
    await client.set(Keys.SCHEMA, header.schema)


async def check(store: Store) -> None:
    """Raises AssertionError when anything of it was lost."""
    await _check_projects(store)
    await _check_jobs(store)
    await _check_run(store)
    await _check_registry(store)
    identity = Identity(store)
    assert (await identity.user("admin")).role == "admin"
    (token,) = await identity.list_tokens()
    assert (token.name, token.sha256) == ("Ädas IDE", digest(TOKEN))


async def _check_projects(store: Store) -> None:
    projects, sources = Projects(store), Sources(store)
    assert [view.project.name for view in await projects.all()] == ["web p1", "web p2"]
    view = await projects.get("p1")
    assert (view.latest_scan_id, view.latest_dataset_id, view.num_sources) == (SCAN, "d1", 2)
    assert await projects.scan_ids("p1") == [SCAN]
    assert [project_id for project_id, _ in await projects.due()] == ["p1"]
    (first, counts), (second, none) = await sources.all("p1")
    assert (first.name, second.name) == ("s1.zip", "s2.zip")
    assert counts == SourceCounts(scan_id=SCAN, num_files=7, num_accepted_files=7)
    assert none is None
    assert await sources.of_key("p1", "up-s2") == second
    assert await Datasets(store).ids("p1") == ["d1"]
    dataset = await Datasets(store).get("d1")
    assert (dataset.train.mean_loss, dataset.languages[0].language) == (1.5, "Python")


async def _check_jobs(store: Store) -> None:
    queue = JobQueue(store)
    history = [job.job_id for job in await queue.history(JobKind.RUN)]
    assert history == [WAITING, RUNNING, FAILED, RUN]
    assert [job.job_id for job in await queue.history(JobKind.SCAN)] == [LATER_SCAN, SCAN]
    statuses = {
        job_id: (await queue.get(job_id)).status
        for job_id in (SCAN, LATER_SCAN, RUN, FAILED, WAITING, CANCELLED)
    }
    assert statuses == {
        SCAN: JobStatus.SUCCEEDED,
        LATER_SCAN: JobStatus.QUEUED,
        RUN: JobStatus.SUCCEEDED,
        FAILED: JobStatus.FAILED,
        WAITING: JobStatus.QUEUED,
        CANCELLED: JobStatus.CANCELLED,
    }
    assert (await queue.get(SCAN)).result == {"dataset_id": "d1"}
    assert (await queue.get(FAILED)).error == "out of memory"
    running = await queue.get(RUNNING)
    assert running.progress == JobProgress(fraction=0.1)
    assert (running.resume, running.attempt) == ({"checkpoint_id": "c9"}, 1)
    for kind, key, job_id in (
        (JobKind.SCAN, "scan-1", SCAN),
        (JobKind.RUN, "run/1", RUN),
        (JobKind.RUN, "run/4", RUNNING),
        (JobKind.RUN, "run/5", WAITING),
    ):
        found = await queue.known(kind, key)
        assert found
        assert found.job_id == job_id
        again = await queue.enqueue(kind, dict(found.payload), idempotency_key=key)
        assert again.job_id == job_id


async def _check_run(store: Store) -> None:
    runs = Runs(store)
    state = await runs.state(RUN)
    assert (state.phase, state.evaluation_id) == (RunPhase.TRAINING, "e1")
    assert (await runs.evaluation("e1")).verdict is EvaluationVerdict.BETTER
    assert (await runs.adapters(RUN))["ad1"].note == "gut ✓"


async def _check_registry(store: Store) -> None:
    view = await Registry(store).view()
    assert view.deployments["dep1"].adapter_ids == ("ad1",)
    assert view.adapters["ad1"].better_than_base
    assert view.models[MODEL].context_tokens == 2048
    assert view.caps_version >= CAPS_VERSION
