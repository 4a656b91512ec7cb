"""The clock of one process moves by an hour: leases, delays and windows go by Redis TIME.

What moves is time.time() of the worker's process, in the middle of its work; its monotonic clock
goes on, as the kernel's does when somebody sets the time.
"""

from __future__ import annotations

import time

import pytest

from services.cluster.jobs.records import JobStatus
from services.cluster.jobs.windows import TimeWindow
from tests.faults.scene import LEASE_SECONDS, Scene
from tests.faults.worker import Stage

pytestmark = pytest.mark.faults

_HOUR_SECONDS = 3600.0
_STEP_SECONDS = 0.2


def window(first_minute: int, last_minute: int) -> TimeWindow:
    """Minutes from now."""
    now = int(time.time() // 60)
    return TimeWindow(
        start_minute=(now + first_minute) % 1440, end_minute=(now + last_minute) % 1440
    )


@pytest.mark.parametrize("ahead_seconds", [_HOUR_SECONDS, -_HOUR_SECONDS])
async def test_nothing_is_lost_or_taken_over_or_done_too_early(
    scene: Scene, ahead_seconds: float
) -> None:
    second = await scene.start("second", Stage.READY)
    long = await scene.enqueue(num_steps=int(3 * LEASE_SECONDS / _STEP_SECONDS))
    first = await scene.start("first", Stage.STEP_PUBLISHED, step_seconds=_STEP_SECONDS)
    await first.reaches(Stage.STEP_PUBLISHED, gated=True)
    first.go_on(clock_ahead_seconds=ahead_seconds)
    second.go_on(clock_ahead_seconds=-ahead_seconds)
    delayed = await scene.enqueue(delay_seconds=_HOUR_SECONDS / 2)
    closed = await scene.enqueue(window=window(30, 90))
    done_early = [delayed.job_id, closed.job_id]
    open_now = await scene.enqueue(window=window(-30, 30))
    done = [await scene.ended(job.job_id) for job in (long, open_now)]
    assert [(job.attempt, job.holder) for job in done] == [(1, "first"), (1, "second")]
    for job_id in done_early:
        waiting = await scene.queue.get(job_id)
        assert (waiting.status, waiting.attempt) == (JobStatus.QUEUED, 0)
    await scene.report(f"clock moved by {ahead_seconds / 3600:+.0f} h", [long, open_now], None)


async def test_a_lost_worker_is_found_by_one_whose_clock_is_wrong(scene: Scene) -> None:
    second = await scene.start("second", Stage.READY)
    job = await scene.enqueue()
    first = await scene.start("first", Stage.STEP_PUBLISHED)
    await first.reaches(Stage.STEP_PUBLISHED, gated=True)
    second.go_on(clock_ahead_seconds=-_HOUR_SECONDS)
    killed_at = time.time()
    await first.kill()
    await second.reaches(Stage.CLAIMED, attempt=2)
    taken = await scene.queue.get(job.job_id)
    await scene.ended(job.job_id)
    resume_seconds = (taken.started_at or 0.0) - killed_at
    await scene.report("worker killed, the other's clock -1 h", [job], resume_seconds)
