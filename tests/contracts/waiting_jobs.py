"""What every queue of jobs must do with jobs that have to wait: for hours, and for other jobs."""

from __future__ import annotations

import pytest

from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobSignal, JobStatus
from services.cluster.jobs.windows import TimeWindow
from tests.contracts.jobs import RUN, SCAN, JobQueueContract

DAY_MINUTES = 24 * 60


class WaitingJobsContract(JobQueueContract):
    async def test_a_job_runs_only_inside_its_window(self, queue: JobQueue) -> None:
        whole_day = TimeWindow(start_minute=0, end_minute=0)
        job = await queue.enqueue(SCAN, {}, window=whole_day)
        running = await self.claimed(queue)
        assert running.closes_at is not None
        assert await queue.heartbeat(running) is JobSignal.GO_ON
        await self.close_window(running)
        assert await queue.heartbeat(running) is JobSignal.YIELD
        await queue.give_back(running, "its window has ended")
        again = await self.claimed(queue)  # the next one of a whole day is open already
        assert (again.job_id, again.attempt) == (job.job_id, 2)
        assert again.closes_at is not None
        assert again.closes_at > (again.started_at or 0)

    async def test_a_job_waits_for_its_window(self, queue: JobQueue) -> None:
        now = (await queue.enqueue(RUN, {})).created_at
        minute = int(now // 60) % DAY_MINUTES
        later = TimeWindow(
            start_minute=(minute + 120) % DAY_MINUTES, end_minute=(minute + 180) % DAY_MINUTES
        )
        job = await queue.enqueue(SCAN, {}, window=later)
        assert await queue.claim(SCAN, "w1") is None
        assert job.opens_at is not None
        assert 118 * 60 < job.opens_at - now <= 120 * 60
        assert (await queue.get(job.job_id)).due_at == job.opens_at

    async def test_a_job_whose_window_passed_while_it_was_queued_waits_for_the_next(
        self, queue: JobQueue
    ) -> None:
        now = (await queue.enqueue(RUN, {})).created_at
        minute = int(now // 60) % DAY_MINUTES
        early = TimeWindow(
            start_minute=(minute - 5) % DAY_MINUTES, end_minute=(minute + 5) % DAY_MINUTES
        )
        job = await queue.enqueue(SCAN, {}, window=early)
        other = await queue.enqueue(SCAN, {})
        await self.close_window(job)
        claimed = await self.claimed(queue)
        # Either its window is open still, or the job behind it is served.
        assert claimed.job_id in (job.job_id, other.job_id)
        assert (claimed.closes_at or now + 1) > now

    async def test_a_run_waits_for_its_scan(self, queue: JobQueue) -> None:
        scans = [await queue.enqueue(SCAN, {}) for _ in range(2)]
        ids = [scan.job_id for scan in scans]
        run = await queue.enqueue(RUN, {}, depends_on=ids)
        assert list(run.depends_on) == ids
        for _ in scans:
            assert await queue.claim(RUN, "w1") is None
            await queue.succeed(await self.claimed(queue), {})
        claimed = await queue.claim(RUN, "w1")
        assert claimed is not None
        assert claimed.job_id == run.job_id
        after = await queue.enqueue(RUN, {}, depends_on=ids)
        found = await queue.claim(RUN, "w1")
        assert found is not None
        assert found.job_id == after.job_id

    @pytest.mark.parametrize("failed", [True, False])
    async def test_what_waits_for_a_failed_job_fails_with_it(
        self, queue: JobQueue, failed: bool
    ) -> None:
        scan = await queue.enqueue(SCAN, {})
        run = await queue.enqueue(RUN, {}, depends_on=[scan.job_id])
        evaluation = await queue.enqueue(JobKind.EVALUATE, {}, depends_on=[run.job_id])
        if failed:
            await queue.fail(await self.claimed(queue), "no file is code")
        else:
            await queue.cancel(scan.job_id)
        for job, awaited in ((run, scan), (evaluation, run)):
            ended = await queue.get(job.job_id)
            assert ended.status is JobStatus.FAILED
            assert awaited.job_id in ended.error
        late = await queue.enqueue(RUN, {}, depends_on=[scan.job_id])
        assert late.status is JobStatus.FAILED
        assert await queue.claim(RUN, "w1") is None

    async def test_a_job_that_waits_can_be_cancelled(self, queue: JobQueue) -> None:
        scan = await queue.enqueue(SCAN, {})
        run = await queue.enqueue(RUN, {}, depends_on=[scan.job_id])
        assert (await queue.cancel(run.job_id)).status is JobStatus.CANCELLED
        await queue.succeed(await self.claimed(queue), {})
        assert await queue.claim(RUN, "w1") is None
        assert (await queue.get(run.job_id)).status is JobStatus.CANCELLED

    async def test_a_job_that_waits_for_another_may_begin_later_still(
        self, queue: JobQueue
    ) -> None:
        scan = await queue.enqueue(SCAN, {})
        run = await queue.enqueue(RUN, {}, depends_on=[scan.job_id], delay_seconds=3600)
        await queue.succeed(await self.claimed(queue), {})
        assert await queue.claim(RUN, "w1") is None
        await self.pass_pause(run)
        assert await queue.claim(RUN, "w1") is not None
