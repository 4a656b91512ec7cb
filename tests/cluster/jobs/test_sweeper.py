from __future__ import annotations

from services.cluster.errors import StoreUnavailable
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobStatus
from services.cluster.jobs.sweeper import Sweeper
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

LEASE_SECONDS = 30.0


class QueueBehindALink(JobQueue):
    """Redis is away while the link is cut."""

    cut = False

    up_seconds = 1e6

    async def redis_up_seconds(self) -> float:
        if self.cut:
            raise StoreUnavailable("The link is cut.")
        return self.up_seconds


async def lost_job(queue: JobQueue, store: Store) -> str:
    job = await queue.enqueue(JobKind.SCAN, {})
    assert await queue.claim(JobKind.SCAN, "w1")
    await store.redis.zadd(Keys.JOB_RUNNING.format(JobKind.SCAN), {job.job_id: 1})
    return job.job_id


async def looks(sweeper: Sweeper, begin: float, end: float) -> int:
    """As often as it does by itself; how many jobs were put back."""
    num_back = 0
    while begin <= end:
        num_back += await sweeper.look(begin)
        begin += LEASE_SECONDS / 6
    return num_back


async def test_nobody_is_called_lost_before_redis_has_answered_for_a_lease(store: Store) -> None:
    queue = QueueBehindALink(store, LEASE_SECONDS)
    job_id = await lost_job(queue, store)
    sweeper = Sweeper(queue, JobKind.SCAN)
    assert await looks(sweeper, 100.0, 100.0 + LEASE_SECONDS - 1) == 0
    assert await sweeper.look(100.1 + LEASE_SECONDS) == 1
    assert (await queue.get(job_id)).status is JobStatus.QUEUED


async def test_an_outage_begins_the_wait_anew(store: Store) -> None:
    queue = QueueBehindALink(store, LEASE_SECONDS)
    await lost_job(queue, store)
    sweeper = Sweeper(queue, JobKind.SCAN)
    assert await looks(sweeper, 0.0, 25.0) == 0
    queue.cut = True
    assert await sweeper.look(30.0) == 0
    queue.cut = False
    assert await looks(sweeper, 31.0, 60.0) == 0
    assert await looks(sweeper, 61.1, 61.1) == 1


async def test_a_redis_that_has_just_started_begins_the_wait_anew(store: Store) -> None:
    queue = QueueBehindALink(store, LEASE_SECONDS)
    await lost_job(queue, store)
    sweeper = Sweeper(queue, JobKind.SCAN)
    queue.up_seconds = LEASE_SECONDS - 1
    assert await looks(sweeper, 0.0, 2 * LEASE_SECONDS) == 0
    queue.up_seconds = LEASE_SECONDS
    assert await sweeper.look(2 * LEASE_SECONDS + 5) == 1


async def test_a_sweeper_that_slept_begins_the_wait_anew(store: Store) -> None:
    queue = QueueBehindALink(store, LEASE_SECONDS)
    await lost_job(queue, store)
    sweeper = Sweeper(queue, JobKind.SCAN)
    assert await looks(sweeper, 0.0, 20.0) == 0
    assert await looks(sweeper, 1000.0, 1000.0 + LEASE_SECONDS - 1) == 0
    assert await sweeper.look(1000.1 + LEASE_SECONDS) == 1
