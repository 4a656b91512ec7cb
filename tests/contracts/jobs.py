"""What every queue of jobs must do.

Another one is tested by one subclass, of waiting_jobs.WaitingJobsContract, with four methods.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio

from services.cluster.errors import BadRequest, Conflict, LeaseLost, NotFound
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobProgress, JobRecord, JobSignal, JobStatus

SCAN, RUN = JobKind.SCAN, JobKind.RUN


class JobQueueContract(ABC):
    """Time passes by `pass_lease`, not by waiting."""

    @abstractmethod
    async def open(self, lane: str = "") -> JobQueue:
        """An empty queue; another lane of it has the same jobs by their ids."""

    @abstractmethod
    async def pass_lease(self, job: JobRecord) -> None:
        """As if the holder's last heartbeat were more than a lease ago."""

    @abstractmethod
    async def pass_pause(self, job: JobRecord) -> None:
        """As if a queued job were due."""

    @abstractmethod
    async def close_window(self, job: JobRecord) -> None:
        """As if the time window of a job had just ended."""

    @pytest_asyncio.fixture
    async def queue(self, store: object) -> AsyncIterator[JobQueue]:
        self.store: Any = store
        yield await self.open()

    async def claimed(self, queue: JobQueue, holder: str = "w1") -> JobRecord:
        job = await queue.claim(SCAN, holder)
        assert job is not None
        return job

    async def lose(self, queue: JobQueue, job: JobRecord) -> None:
        await self.pass_lease(job)
        assert await queue.sweep(job.kind) == [job.job_id]

    # ---- queued, claimed, ended

    async def test_a_job_is_queued_claimed_and_finished(self, queue: JobQueue) -> None:
        job = await queue.enqueue(SCAN, {"source": "s1"}, project_id="p1")
        assert (job.status, job.payload, job.project_id) == ("queued", {"source": "s1"}, "p1")
        running = await self.claimed(queue)
        assert (running.job_id, running.status, running.attempt) == (job.job_id, "running", 1)
        assert await queue.claim(SCAN, "w2") is None
        progress = JobProgress(
            fraction=0.5, num_done=1, num_total=2, remaining_seconds=3, message="half"
        )
        assert await queue.heartbeat(running, progress) is JobSignal.GO_ON
        assert (await queue.get(job.job_id)).progress == progress
        await queue.succeed(running, {"dataset": "d1"})
        ended = await queue.get(job.job_id)
        assert (ended.status, ended.result) == (JobStatus.SUCCEEDED, {"dataset": "d1"})
        assert ended.progress == progress
        assert ended.finished_at is not None

    async def test_the_same_idempotency_key_is_the_same_job(self, queue: JobQueue) -> None:
        asked = [queue.enqueue(SCAN, {}, idempotency_key="k") for _ in range(8)]
        jobs = await asyncio.gather(*asked)
        assert len({job.job_id for job in jobs}) == 1
        assert len(await queue.history(SCAN)) == 1
        assert await queue.known(SCAN, "k") == jobs[0]
        assert await queue.known(RUN, "k") is None

    async def test_urgent_jobs_go_first_then_older_ones(self, queue: JobQueue) -> None:
        late = await queue.enqueue(SCAN, {}, priority=10)
        first = await queue.enqueue(SCAN, {})
        second = await queue.enqueue(SCAN, {})
        urgent = await queue.enqueue(SCAN, {}, priority=-1)
        order = [(await self.claimed(queue)).job_id for _ in range(4)]
        assert order == [job.job_id for job in (urgent, first, second, late)]

    async def test_many_claimers_share_no_job(self, queue: JobQueue) -> None:
        for _ in range(10):
            await queue.enqueue(SCAN, {})
        found = await asyncio.gather(*[queue.claim(SCAN, f"w{n}") for n in range(20)])
        claimed = [job.job_id for job in found if job]
        assert len(claimed) == len(set(claimed)) == 10

    async def test_kinds_are_queues_of_their_own(self, queue: JobQueue) -> None:
        await queue.enqueue(RUN, {})
        assert await queue.claim(SCAN, "w1") is None
        assert await queue.claim(RUN, "w1") is not None

    async def test_a_lane_is_a_queue_of_its_own(self, queue: JobQueue) -> None:
        lane = await self.open("gpu-1")
        before = await queue.enqueue(SCAN, {}, idempotency_key="k")
        job = await lane.enqueue(SCAN, {}, idempotency_key="k", depends_on=[before.job_id])
        assert (job.kind, job.lane) == (SCAN, "gpu-1")
        assert await lane.claim(SCAN, "w1") is None
        await queue.succeed(await self.claimed(queue), {})
        assert await queue.claim(SCAN, "w1") is None
        running = await lane.claim(SCAN, "w1")
        assert running is not None
        assert [found.job_id for found in await queue.history(SCAN)] == [before.job_id]
        assert [found.job_id for found in await lane.history(SCAN)] == [job.job_id]
        assert (await queue.cancel(job.job_id)).cancel_requested
        assert await queue.heartbeat(running) is JobSignal.CANCEL
        await queue.confirm_cancelled(running)
        await queue.forget(job.job_id)
        assert await lane.history(SCAN) == []

    async def test_no_more_run_than_are_allowed(self, queue: JobQueue) -> None:
        await queue.enqueue(SCAN, {})
        await queue.enqueue(SCAN, {})
        first = await queue.claim(SCAN, "w1", max_running=1)
        assert first is not None
        assert await queue.claim(SCAN, "w2", max_running=1) is None
        await queue.succeed(first, {})
        assert await queue.claim(SCAN, "w2", max_running=1) is not None

    async def test_the_history_pages_newest_first(self, queue: JobQueue) -> None:
        jobs = [await queue.enqueue(SCAN, {"n": n}) for n in range(5)]
        pages = [await queue.history(SCAN, start, 2) for start in (0, 2, 4, 6)]
        assert [len(page) for page in pages] == [2, 2, 1, 0]
        assert [job for page in pages for job in page] == jobs[::-1]

    async def test_an_ended_job_can_be_forgotten(self, queue: JobQueue) -> None:
        job = await queue.enqueue(SCAN, {}, idempotency_key="k")
        with pytest.raises(Conflict, match="cancel it before"):
            await queue.forget(job.job_id)
        await queue.succeed(await self.claimed(queue), {})
        await queue.forget(job.job_id)
        assert await queue.history(SCAN) == []
        assert await queue.known(SCAN, "k") is None
        with pytest.raises(NotFound):
            await queue.get(job.job_id)

    async def test_an_unknown_job_is_not_found(self, queue: JobQueue) -> None:
        with pytest.raises(NotFound, match="no job scan-x"):
            await queue.get("scan-x")

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"priority": 1001}, "priority must be between"),
            ({"delay_seconds": -1.0}, "delay_seconds must be"),
            ({"delay_seconds": float("nan")}, "delay_seconds must be"),
            ({"max_attempts": 0}, "max_attempts must be"),
            ({"depends_on": ["scan-x"]}, "no job scan-x to wait for"),
            ({"depends_on": ["x"] * 101}, "wait for 100 others"),
        ],
    )
    async def test_nonsense_is_refused_and_leaves_nothing(
        self, queue: JobQueue, asked: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(BadRequest, match=said):
            await queue.enqueue(SCAN, {}, idempotency_key="k", **asked)
        assert await queue.history(SCAN) == []
        assert await queue.known(SCAN, "k") is None

    # ---- lost workers

    async def test_a_lost_worker_is_replaced_and_its_late_writes_are_refused(
        self, queue: JobQueue
    ) -> None:
        await queue.enqueue(SCAN, {})
        lost = await self.claimed(queue, "w1")
        await queue.heartbeat(lost, JobProgress(fraction=0.7), resume={"cursor": 7})
        assert await queue.sweep(SCAN) == []
        await self.lose(queue, lost)
        taken = await self.claimed(queue, "w2")
        assert (taken.job_id, taken.attempt, taken.resume) == (lost.job_id, 2, {"cursor": 7})
        assert taken.token > lost.token
        writes = (
            queue.heartbeat(lost, JobProgress(fraction=0.9), {"cursor": 9}),
            queue.succeed(lost, {"from": "lost"}),
            queue.fail(lost, "from lost"),
            queue.confirm_cancelled(lost),
            queue.retry(lost, "from lost"),
            queue.give_back(lost, "from lost"),
        )
        before = await queue.get(lost.job_id)
        for write in writes:
            with pytest.raises(LeaseLost):
                await write
        assert await queue.get(lost.job_id) == before
        await queue.succeed(taken, {})

    async def test_a_late_heartbeat_keeps_a_job_that_nobody_took(self, queue: JobQueue) -> None:
        await queue.enqueue(SCAN, {})
        job = await self.claimed(queue)
        await self.pass_lease(job)
        assert await queue.heartbeat(job) is JobSignal.GO_ON
        assert await queue.sweep(SCAN) == []

    async def test_a_holder_that_was_swept_cannot_renew(self, queue: JobQueue) -> None:
        await queue.enqueue(SCAN, {})
        job = await self.claimed(queue)
        await self.lose(queue, job)
        with pytest.raises(LeaseLost):
            await queue.heartbeat(job)

    async def test_a_job_that_loses_every_worker_fails_with_a_reason(self, queue: JobQueue) -> None:
        job = await queue.enqueue(SCAN, {}, max_attempts=2)
        for holder in ("w1", "w2"):
            await self.lose(queue, await self.claimed(queue, holder))
        ended = await queue.get(job.job_id)
        assert ended.status is JobStatus.FAILED
        assert "lost 2 times" in ended.error

    async def test_an_attempt_that_got_further_forgives_the_failures_before(
        self, queue: JobQueue
    ) -> None:
        job = await queue.enqueue(SCAN, {}, max_attempts=2)
        for num_done in (1, 2, 3):
            running = await self.claimed(queue)
            await queue.heartbeat(running, JobProgress(num_done=num_done))
            await self.lose(queue, running)
        assert (await queue.get(job.job_id)).num_failures == 1
        stuck = await self.claimed(queue)
        await queue.heartbeat(stuck, JobProgress(num_done=3))
        await self.lose(queue, stuck)
        assert (await queue.get(job.job_id)).status is JobStatus.FAILED

    async def test_a_lost_worker_of_a_cancelled_job_ends_it(self, queue: JobQueue) -> None:
        job = await queue.enqueue(SCAN, {})
        running = await self.claimed(queue)
        await queue.cancel(job.job_id)
        await self.lose(queue, running)
        assert (await queue.get(job.job_id)).status is JobStatus.CANCELLED

    # ---- given back

    async def test_a_retry_waits_longer_each_time_and_says_why(self, queue: JobQueue) -> None:
        await queue.enqueue(SCAN, {}, max_attempts=3)
        pauses = []
        for _ in range(2):
            running = await self.claimed(queue)
            await queue.retry(running, "disk full")
            assert await queue.claim(SCAN, "w1") is None
            (job,) = await queue.history(SCAN)
            assert (job.status, job.error) == (JobStatus.QUEUED, "disk full")
            assert job.due_at is not None
            assert running.started_at is not None
            pauses.append(job.due_at - running.started_at)
            await self.pass_pause(job)
        assert 2 <= pauses[0] < 4 <= pauses[1] < 8
        await queue.retry(await self.claimed(queue), "still full")
        (job,) = await queue.history(SCAN)
        assert (job.status, job.error, job.attempt) == (JobStatus.FAILED, "still full", 3)

    async def test_giving_back_is_no_failure_and_keeps_the_place(self, queue: JobQueue) -> None:
        first = await queue.enqueue(SCAN, {}, max_attempts=1)
        await queue.enqueue(SCAN, {})
        for attempt in (1, 2, 3):
            running = await self.claimed(queue)
            assert (running.job_id, running.attempt) == (first.job_id, attempt)
            await queue.give_back(running, "The service was stopped.")
        assert (await queue.get(first.job_id)).status is JobStatus.QUEUED

    async def test_a_job_may_begin_later(self, queue: JobQueue) -> None:
        job = await queue.enqueue(SCAN, {}, delay_seconds=3600)
        assert await queue.claim(SCAN, "w1") is None
        census = await queue.census(SCAN)
        assert (census.num_queued, census.num_waiting, census.num_running) == (0, 1, 0)
        await self.pass_pause(job)
        assert (await self.claimed(queue)).job_id == job.job_id

    # ---- cancelled, asked to yield

    async def test_cancel_reaches_a_queued_and_a_running_job(self, queue: JobQueue) -> None:
        running, waiting = await queue.enqueue(SCAN, {}), await queue.enqueue(SCAN, {})
        job = await self.claimed(queue)
        mark = await queue.mark(SCAN)
        assert (await queue.cancel(waiting.job_id)).status is JobStatus.CANCELLED
        assert (await queue.cancel(running.job_id)).cancel_requested
        assert (await queue.cancel(running.job_id)).cancel_requested
        _, whose = await queue.wait(SCAN, mark, 5)
        assert running.job_id in whose
        assert await queue.heartbeat(job) is JobSignal.CANCEL
        await queue.confirm_cancelled(job)
        for ended in (running, waiting):
            with pytest.raises(Conflict, match="cancelled already"):
                await queue.cancel(ended.job_id)

    async def test_a_cancelled_job_is_not_given_back(self, queue: JobQueue) -> None:
        job = await queue.enqueue(SCAN, {})
        running = await self.claimed(queue)
        await queue.cancel(job.job_id)
        await queue.give_back(running, "stopped")
        assert (await queue.get(job.job_id)).status is JobStatus.CANCELLED

    async def test_a_running_job_is_asked_to_yield(self, queue: JobQueue) -> None:
        job = await queue.enqueue(SCAN, {})
        assert not await queue.ask_to_yield(job.job_id, "serving needs the device")
        running = await self.claimed(queue)
        assert await queue.ask_to_yield(job.job_id, "serving needs the device")
        assert await queue.heartbeat(running) is JobSignal.YIELD
        await queue.give_back(running, "made room")
        again = await self.claimed(queue)
        assert await queue.heartbeat(again) is JobSignal.GO_ON

    # ---- events

    async def test_events_can_be_followed_from_any_id(self, queue: JobQueue) -> None:
        job = await queue.enqueue(SCAN, {})
        running = await self.claimed(queue)
        await queue.heartbeat(running, JobProgress(fraction=0.5))
        await queue.succeed(running, {})
        events = [event async for event in queue.events(job.job_id)]
        assert [event.event for event in events] == ["queued", "running", "progress", "succeeded"]
        rest = [event async for event in queue.events(job.job_id, after=events[0].event_id)]
        assert rest == events[1:]
        assert [e async for e in queue.events(job.job_id, after=events[-1].event_id)] == []

    async def test_a_watcher_hears_what_happens_after_it_came(self, queue: JobQueue) -> None:
        job = await queue.enqueue(SCAN, {})
        async with aclosing(queue.events(job.job_id)) as events, asyncio.timeout(5):  # type: ignore[type-var]
            assert (await anext(events)).event == "queued"
            running = await self.claimed(queue)
            assert (await anext(events)).event == "running"
            await queue.fail(running, "why")
            last = await anext(events)
            assert (last.event, last.data) == ("failed", "why")
            with pytest.raises(StopAsyncIteration):
                await anext(events)
