from __future__ import annotations

from services.cluster.errors import StoreUnavailable
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobRecord, JobStatus
from services.cluster.jobs.sweeper import Sweeper
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

LEASE_SECONDS = 30.0


class QueueBehindALink(JobQueue):
    """Redis is away while the link is cut."""

    cut = False

    async def history(self, kind: JobKind, start: int = 0, count: int = 50) -> list[JobRecord]:
        if self.cut:
            raise StoreUnavailable("The link is cut.")
        return await super().history(kind, start, count)


async def test_nobody_is_called_lost_before_redis_has_answered_for_a_lease(
    store: Store,
) -> None:
    queue = JobQueue(store, LEASE_SECONDS)
    job = await queue.enqueue(JobKind.SCAN, {})
    assert await queue.claim(JobKind.SCAN, "w1")
    await store.redis.zadd(Keys.JOB_RUNNING.format(JobKind.SCAN), {job.job_id: 1})
    sweeper = Sweeper(queue, JobKind.SCAN, LEASE_SECONDS)
    assert await sweeper.look(100.0) == 0
    assert await sweeper.look(100.0 + LEASE_SECONDS - 1) == 0
    assert await sweeper.look(100.0 + LEASE_SECONDS) == 1
    assert (await queue.get(job.job_id)).status is JobStatus.QUEUED


async def test_an_outage_begins_the_wait_anew(store: Store) -> None:
    queue = QueueBehindALink(store, LEASE_SECONDS)
    job = await queue.enqueue(JobKind.SCAN, {})
    assert await queue.claim(JobKind.SCAN, "w1")
    await store.redis.zadd(Keys.JOB_RUNNING.format(JobKind.SCAN), {job.job_id: 1})
    sweeper = Sweeper(queue, JobKind.SCAN, LEASE_SECONDS)
    await sweeper.look(0.0)
    queue.cut = True
    assert await sweeper.look(LEASE_SECONDS) == 0
    queue.cut = False
    assert await sweeper.look(LEASE_SECONDS + 1) == 0
    assert await sweeper.look(2 * LEASE_SECONDS + 1) == 1
