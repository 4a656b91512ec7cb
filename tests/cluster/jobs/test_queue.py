from __future__ import annotations

import asyncio

import pytest

from services.cluster.errors import Conflict, LeaseLost, NotFound
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobProgress, JobRecord, JobStatus
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

SCAN = JobKind.SCAN


async def claimed(queue: JobQueue, holder: str = "w1") -> JobRecord:
    job = await queue.claim(SCAN, holder)
    assert job is not None
    return job


async def lose(store: Store, job: JobRecord) -> None:
    """As if the holder's last heartbeat were long ago."""
    await store.redis.zadd(Keys.JOB_RUNNING.format(job.kind), {job.job_id: 1})


async def test_a_job_is_queued_claimed_and_finished(store: Store) -> None:
    queue = JobQueue(store)
    job = await queue.enqueue(SCAN, {"source": "s1"}, project_id="p1")
    assert (job.status, job.payload, job.project_id) == (JobStatus.QUEUED, {"source": "s1"}, "p1")
    running = await claimed(queue)
    assert (running.job_id, running.status, running.attempt) == (job.job_id, "running", 1)
    assert await queue.claim(SCAN, "w2") is None
    assert await queue.heartbeat(running, JobProgress(fraction=0.5))
    await queue.succeed(running, {"dataset": "d1"})
    ended = await queue.get(job.job_id)
    assert (ended.status, ended.result) == (JobStatus.SUCCEEDED, {"dataset": "d1"})
    assert ended.progress is not None
    assert ended.progress.fraction == 0.5


async def test_the_same_idempotency_key_is_the_same_job(store: Store) -> None:
    queue = JobQueue(store)
    asked = [queue.enqueue(SCAN, {}, idempotency_key="k") for _ in range(8)]
    jobs = await asyncio.gather(*asked)
    assert len({job.job_id for job in jobs}) == 1
    assert len(await queue.history(SCAN)) == 1


async def test_urgent_jobs_go_first_then_older_ones(store: Store) -> None:
    queue = JobQueue(store)
    late = await queue.enqueue(SCAN, {}, priority=10)
    first = await queue.enqueue(SCAN, {})
    second = await queue.enqueue(SCAN, {})
    order = [(await claimed(queue)).job_id for _ in range(3)]
    assert order == [first.job_id, second.job_id, late.job_id]


async def test_no_more_run_than_are_allowed(store: Store) -> None:
    queue = JobQueue(store)
    await queue.enqueue(SCAN, {})
    await queue.enqueue(SCAN, {})
    assert await queue.claim(SCAN, "w1", max_running=1) is not None
    assert await queue.claim(SCAN, "w2", max_running=1) is None


async def test_a_lost_worker_is_replaced_and_its_late_writes_are_refused(store: Store) -> None:
    queue = JobQueue(store)
    await queue.enqueue(SCAN, {})
    lost = await claimed(queue, "w1")
    await queue.heartbeat(lost, resume={"cursor": 7})
    assert await queue.sweep(SCAN) == 0
    await lose(store, lost)
    assert await queue.sweep(SCAN) == 1
    taken = await claimed(queue, "w2")
    assert (taken.job_id, taken.attempt, taken.resume) == (lost.job_id, 2, {"cursor": 7})
    with pytest.raises(LeaseLost):
        await queue.heartbeat(lost)
    with pytest.raises(LeaseLost):
        await queue.succeed(lost, {})
    await queue.succeed(taken, {})


async def test_a_late_heartbeat_keeps_a_job_that_nobody_took(store: Store) -> None:
    queue = JobQueue(store)
    await queue.enqueue(SCAN, {})
    job = await claimed(queue)
    await lose(store, job)
    assert await queue.heartbeat(job)
    assert await queue.sweep(SCAN) == 0


async def test_a_job_that_loses_every_worker_fails_with_a_reason(store: Store) -> None:
    queue = JobQueue(store)
    job = await queue.enqueue(SCAN, {}, max_attempts=2)
    for holder in ("w1", "w2"):
        await lose(store, await claimed(queue, holder))
        await queue.sweep(SCAN)
    ended = await queue.get(job.job_id)
    assert ended.status is JobStatus.FAILED
    assert "lost 2 times" in ended.error


async def test_cancel_reaches_a_queued_and_a_running_job(store: Store) -> None:
    queue = JobQueue(store)
    running, waiting = await queue.enqueue(SCAN, {}), await queue.enqueue(SCAN, {})
    job = await claimed(queue)
    assert (await queue.cancel(waiting.job_id)).status is JobStatus.CANCELLED
    assert (await queue.cancel(running.job_id)).cancel_requested
    assert not await queue.heartbeat(job)
    await queue.confirm_cancelled(job)
    with pytest.raises(Conflict, match="cancelled already"):
        await queue.cancel(running.job_id)


async def test_a_retry_waits_and_says_why(store: Store) -> None:
    queue = JobQueue(store)
    await queue.enqueue(SCAN, {})
    await queue.retry(await claimed(queue), "disk full", delay_seconds=3600)
    assert await queue.claim(SCAN, "w1") is None
    (job,) = await queue.history(SCAN)
    assert (job.status, job.error) == (JobStatus.QUEUED, "disk full")


async def test_events_can_be_followed_from_any_id(store: Store) -> None:
    queue = JobQueue(store)
    job = await queue.enqueue(SCAN, {})
    running = await claimed(queue)
    await queue.succeed(running, {})
    events = [event async for event in queue.events(job.job_id)]
    assert [event.event for event in events] == ["queued", "running", "succeeded"]
    rest = [event async for event in queue.events(job.job_id, after=events[0].event_id)]
    assert rest == events[1:]
    assert [e async for e in queue.events(job.job_id, after=events[-1].event_id)] == []


async def test_an_unknown_job_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound, match="no job scan-x"):
        await JobQueue(store).get("scan-x")
