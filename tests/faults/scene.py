"""Where a fault happens: a data volume with its own Redis, a queue of jobs, and workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.cluster.artifacts.store import ArtifactStore
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import TERMINAL, JobRecord, JobStatus
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from tests.faults.redis_process import RedisProcess
from tests.faults.report import FaultReport
from tests.faults.worker import KIND, RESULT, Stage, steps_of
from tests.faults.worker_process import WorkerProcess

LEASE_SECONDS = 2.0
NUM_STEPS = 4
_PATIENCE_SECONDS = 40.0

Record = Callable[[FaultReport], None]


class Scene:
    """`report` keeps what a test says of its fault for the summary, then judges it."""

    def __init__(self, data_dir: Path, redis: RedisProcess, store: Store, record: Record) -> None:
        self.data_dir = data_dir
        self.redis = redis
        self.store = store
        self.queue = JobQueue(store, LEASE_SECONDS)
        self.artifacts = ArtifactStore(data_dir)
        self.workers: list[WorkerProcess] = []
        self._record = record

    async def start(self, holder: str, *gates: Stage, **options: float) -> WorkerProcess:
        worker = await WorkerProcess.start(
            self.data_dir, self.redis.url, holder, LEASE_SECONDS, *gates, **options
        )
        self.workers.append(worker)
        return worker

    async def enqueue(self, num_steps: int = NUM_STEPS, **options: Any) -> JobRecord:
        return await self.queue.enqueue(KIND, {"num_steps": num_steps}, **options)

    async def until(
        self,
        job_id: str,
        condition: Callable[[JobRecord], bool],
        seconds: float = _PATIENCE_SECONDS,
    ) -> JobRecord:
        """The job when the condition is true of it. Redis has to answer."""
        deadline = time.monotonic() + seconds
        while not condition(job := await self.queue.get(job_id)):
            assert time.monotonic() < deadline, job
            await asyncio.sleep(0.02)
        return job

    async def ended(self, job_id: str, seconds: float = _PATIENCE_SECONDS) -> JobRecord:
        return await self.until(job_id, lambda job: job.status in TERMINAL, seconds)

    async def written(self, job_id: str) -> tuple[dict[str, str], list[Any], list[str]]:
        """All that Redis and the volume hold of a job: a writer without a right changes nothing."""
        async with self.store.answering():
            fields: Any = await self.store.redis.hgetall(Keys.JOB.format(job_id))
            events: Any = await self.store.redis.xrange(Keys.JOB_EVENTS.format(job_id))
        places = sorted(
            str(place.relative_to(self.data_dir))
            for kind in ("runs", "adapters")
            for place in (self.data_dir / kind).glob(f"{job_id}*/*")
        )
        return fields, events, places

    async def num_events(self, job_id: str, event: str) -> int:
        events: Any = await self.store.redis.xrange(Keys.JOB_EVENTS.format(job_id))
        return sum(fields["event"] == event for _, fields in events)

    async def report(
        self,
        injected: str,
        jobs: Sequence[JobRecord],
        resume_seconds: float | None,
    ) -> None:
        """Of jobs that should have succeeded by now."""
        lost = 0
        published = 0
        for job in jobs:
            now = await self.queue.get(job.job_id)
            results = self._results(job.job_id)
            whole = now.status is JobStatus.SUCCEEDED and bool(results)
            whole = whole and now.payload == job.payload
            whole = whole and await self.num_events(job.job_id, JobStatus.SUCCEEDED) == 1
            whole = whole and self._did_each_step_once(now)
            lost += not whole
            published = max(published, len(results))
        self.judge(FaultReport(injected, len(jobs), lost, published, resume_seconds, LEASE_SECONDS))

    def judge(self, report: FaultReport) -> None:
        self._record(report)
        report.check()

    def _results(self, job_id: str) -> set[str]:
        """Digests of the results that were ever published for a job, by whom they say so or not."""
        digests = {
            line["digest"]
            for worker in self.workers
            for line in worker.said(Stage.RESULT_PUBLISHED, job_id=job_id)
        }
        if job_id in self.artifacts.ids(RESULT):
            digests.add(self.artifacts.manifest(RESULT, job_id).digest)
        return digests

    def _did_each_step_once(self, job: JobRecord) -> bool:
        """The result is made of every step, and no attempt did over what one before had done."""
        steps = steps_of(self.artifacts, RESULT, job.job_id)
        attempts = [attempt for _, attempt in steps]
        wanted = list(range(1, job.payload["num_steps"] + 1))
        broken = self.artifacts.verify(RESULT, job.job_id)
        return [step for step, _ in steps] == wanted and attempts == sorted(attempts) and not broken


@asynccontextmanager
async def opened(data_dir: Path, record: Record) -> AsyncIterator[Scene]:
    """Whatever was started in it is gone afterwards."""
    redis = RedisProcess(data_dir)
    try:
        store = await Store.connect(redis.url)
        scene = Scene(data_dir, redis, store, record)
        try:
            yield scene
        finally:
            for worker in scene.workers:
                await worker.kill()
            await store.close()
    finally:
        redis.kill()
