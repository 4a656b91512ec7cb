from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.cluster.errors import BadRequest, LeaseLost, Overloaded
from services.cluster.jobs.hold import Hold
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import TERMINAL, JobKind, JobProgress, JobRecord, JobStatus
from services.cluster.jobs.worker import TryAgain, Worker
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from services.cluster.tasks import end

SCAN = JobKind.SCAN
Work = Callable[[Hold], Awaitable[Mapping[str, Any]]]


@asynccontextmanager
async def working(queue: JobQueue, work: Work, holder: str = "w1") -> AsyncIterator[Worker[Hold]]:
    async def hold_of(job: JobRecord) -> Hold:
        return Hold(queue, job)

    worker = Worker(queue, SCAN, hold_of, work, holder, yield_seconds=0.01)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        await end(task)


async def until(queue: JobQueue, job_id: str, holds: Callable[[JobRecord], bool]) -> JobRecord:
    async with asyncio.timeout(20):
        while not holds(job := await queue.get(job_id)):
            await asyncio.sleep(0.01)
    return job


async def forever(hold: Hold) -> Mapping[str, Any]:
    return await hold.unless_interrupted(asyncio.Event().wait()) and {}


async def test_the_result_and_the_last_progress_are_written(store: Store) -> None:
    queue = JobQueue(store)
    job = await queue.enqueue(SCAN, {"n": 3})

    async def work(hold: Hold) -> Mapping[str, Any]:
        hold.tell(JobProgress(fraction=1.0, num_done=3, num_total=3))
        return {"sum": hold.job.payload["n"]}

    async with working(queue, work):
        ended = await until(queue, job.job_id, lambda job: job.status in TERMINAL)
    assert (ended.status, ended.result) == (JobStatus.SUCCEEDED, {"sum": 3})
    assert ended.progress is not None
    assert ended.progress.num_done == 3


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (BadRequest("The file is empty."), JobStatus.FAILED, "The file is empty."),
        (OSError(errno.ENOSPC, "full"), JobStatus.FAILED, "make room"),
        (OSError(errno.EACCES, "denied"), JobStatus.FAILED, "could not be read or written"),
        (ZeroDivisionError(), JobStatus.FAILED, "fault of Hearth's own (ZeroDivisionError)"),
        (TryAgain("The child was killed."), JobStatus.QUEUED, "The child was killed."),
        (Overloaded("Too many."), JobStatus.QUEUED, "Too many."),
    ],
)
async def test_an_error_fails_the_job_or_repeats_it(
    store: Store, error: Exception, status: JobStatus, said: str
) -> None:
    queue = JobQueue(store)
    job = await queue.enqueue(SCAN, {})

    async def work(hold: Hold) -> Mapping[str, Any]:
        raise error

    async with working(queue, work):
        seen = await until(queue, job.job_id, lambda job: bool(job.error))
    assert seen.status is status
    assert said in seen.error


async def test_a_cancellation_reaches_the_work_within_a_second(store: Store) -> None:
    queue = JobQueue(store)
    job = await queue.enqueue(SCAN, {})
    async with working(queue, forever):
        await until(queue, job.job_id, lambda job: job.status is JobStatus.RUNNING)
        await queue.cancel(job.job_id)
        async with asyncio.timeout(1):
            await until(queue, job.job_id, lambda job: job.status is JobStatus.CANCELLED)


async def test_a_stopped_worker_gives_its_job_back_for_the_next(store: Store) -> None:
    queue = JobQueue(store)
    job = await queue.enqueue(SCAN, {})

    async def work(hold: Hold) -> Mapping[str, Any]:
        hold.resume = {"cursor": 4}
        return await forever(hold)

    async with working(queue, work):
        await until(queue, job.job_id, lambda job: job.status is JobStatus.RUNNING)
    back = await queue.get(job.job_id)
    assert (back.status, back.num_failures, back.resume) == ("queued", 0, {"cursor": 4})

    async def goes_on(hold: Hold) -> Mapping[str, Any]:
        return {"from": hold.resume}

    async with working(queue, goes_on, "w2"):
        ended = await until(queue, job.job_id, lambda job: job.status in TERMINAL)
    assert ended.result == {"from": {"cursor": 4}}


async def test_a_worker_that_is_asked_to_yield_gives_the_job_back(store: Store) -> None:
    queue = JobQueue(store)
    job = await queue.enqueue(SCAN, {})
    attempts: list[int] = []

    async def work(hold: Hold) -> Mapping[str, Any]:
        attempts.append(hold.job.attempt)
        return await forever(hold) if hold.job.attempt == 1 else {}

    async with working(queue, work):
        await until(queue, job.job_id, lambda job: job.status is JobStatus.RUNNING)
        assert await queue.ask_to_yield(job.job_id, "serving needs the device")
        ended = await until(queue, job.job_id, lambda job: job.status in TERMINAL)
    assert (attempts, ended.status, ended.num_failures) == ([1, 2], JobStatus.SUCCEEDED, 0)


async def test_a_worker_that_lost_its_job_writes_nothing_and_takes_the_next(store: Store) -> None:
    queue = JobQueue(store)
    job = await queue.enqueue(SCAN, {})
    seen: list[str] = []

    async def work(hold: Hold) -> Mapping[str, Any]:
        if hold.job.job_id != job.job_id:
            return {}
        try:
            return await forever(hold)
        except LeaseLost:
            seen.append("lost")
            raise

    async with working(queue, work):
        await until(queue, job.job_id, lambda job: job.status is JobStatus.RUNNING)
        swept: list[str] = []
        while not swept:  # its heartbeat may come in between
            await store.redis.zadd(Keys.JOB_RUNNING.format(SCAN), {job.job_id: 1})
            swept = await queue.sweep(SCAN)
        taken = await queue.claim(SCAN, "other")
        assert taken is not None
        other = await queue.enqueue(SCAN, {})
        await until(queue, other.job_id, lambda job: job.status is JobStatus.SUCCEEDED)
    assert seen == ["lost"]
    assert (await queue.get(job.job_id)).holder == "other"


async def test_a_hold_that_was_not_confirmed_for_a_lease_guards_nothing(store: Store) -> None:
    queue = JobQueue(store, lease_seconds=0.05)
    await queue.enqueue(SCAN, {})
    job = await queue.claim(SCAN, "w1")
    assert job is not None
    hold = Hold(queue, job)
    hold.guard()
    await asyncio.sleep(0.06)
    with pytest.raises(LeaseLost):
        hold.guard()
    await hold.confirm()
    hold.guard()


@pytest.mark.parametrize("result", [{"name": "taken by the log"}, {"not JSON": object()}])
async def test_no_result_ends_the_worker(store: Store, result: Mapping[str, Any]) -> None:
    queue = JobQueue(store)
    jobs = [await queue.enqueue(SCAN, {"n": n}) for n in range(2)]

    async def work(hold: Hold) -> Mapping[str, Any]:
        return result if hold.job.payload["n"] == 0 else {}

    async with working(queue, work):
        first, second = [
            await until(queue, job.job_id, lambda job: job.status in TERMINAL) for job in jobs
        ]
    expected = JobStatus.SUCCEEDED if "name" in result else JobStatus.FAILED
    assert (first.status, second.status) == (expected, JobStatus.SUCCEEDED)


async def test_a_hold_that_cannot_be_made_or_kept_fails_the_job(store: Store) -> None:
    queue = JobQueue(store)
    jobs = [await queue.enqueue(SCAN, {"n": n}) for n in range(3)]

    class Faulty(Hold):
        async def write(self) -> None:
            if self.job.payload["n"] == 1:
                raise ZeroDivisionError

    async def hold_of(job: JobRecord) -> Hold:
        if job.payload["n"] == 0:
            raise ValueError("no hold")
        return Faulty(queue, job)

    async def work(hold: Hold) -> Mapping[str, Any]:
        return await forever(hold) if hold.job.payload["n"] == 1 else {}

    worker = Worker(queue, SCAN, hold_of, work, "w1")
    task = asyncio.create_task(worker.run())
    ended = [await until(queue, job.job_id, lambda job: job.status in TERMINAL) for job in jobs]
    await end(task)
    assert [job.status for job in ended] == ["failed", "failed", "succeeded"]
    assert "ValueError" in ended[0].error
    assert "ZeroDivisionError" in ended[1].error


async def test_a_full_redis_takes_the_end_of_a_job(store: Store) -> None:
    queue = JobQueue(store)
    job = await queue.enqueue(SCAN, {})
    is_full = asyncio.Event()

    async def work(hold: Hold) -> Mapping[str, Any]:
        await is_full.wait()
        return {"n": 1}

    try:
        async with working(queue, work):
            await until(queue, job.job_id, lambda job: job.status is JobStatus.RUNNING)
            await store.redis.config_set("maxmemory", 1)
            is_full.set()
            ended = await until(queue, job.job_id, lambda job: job.status in TERMINAL)
    finally:
        await store.redis.config_set("maxmemory", 0)
    assert (ended.status, ended.result) == (JobStatus.SUCCEEDED, {"n": 1})
