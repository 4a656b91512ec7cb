"""The queue in Redis does what a queue of jobs must do."""

from __future__ import annotations

from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobRecord
from services.cluster.store.keys import Keys
from tests.contracts.waiting_jobs import WaitingJobsContract


class TestRedisJobs(WaitingJobsContract):
    async def open(self, lane: str = "") -> JobQueue:
        return JobQueue(self.store, lane=lane)

    async def pass_lease(self, job: JobRecord) -> None:
        await self.store.redis.zadd(Keys.JOB_RUNNING.format(job.queue), {job.job_id: 1})

    async def pass_pause(self, job: JobRecord) -> None:
        await self.store.redis.zadd(Keys.JOB_DELAYED.format(job.queue), {job.job_id: 1})

    async def close_window(self, job: JobRecord) -> None:
        await self.store.redis.hset(Keys.JOB.format(job.job_id), "closes_at", "1")
