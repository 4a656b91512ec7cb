"""kill -STOP of a worker for two leases: another takes over, and the first wakes up to nothing."""

from __future__ import annotations

import asyncio
import time

import pytest

from services.cluster.jobs.records import JobRecord, JobStatus
from tests.faults.scene import LEASE_SECONDS, Scene
from tests.faults.worker import RESULT, Stage
from tests.faults.worker_process import WorkerProcess

pytestmark = pytest.mark.faults

_STAGES = [
    Stage.STEP_BEFORE_PUBLISH,
    Stage.STEP_PUBLISHED,
    Stage.RESULT_BEFORE_PUBLISH,
    Stage.BEFORE_FINISH,
]


async def paused(scene: Scene, job_id: str, stage: Stage) -> tuple[WorkerProcess, float]:
    """A worker that stands still with a job in hand, and since when."""
    first = await scene.start("first", stage)
    await first.reaches(stage, gated=True, job_id=job_id)
    first.stop()
    first.go_on()  # it reads this when it wakes
    return first, time.time()


async def until_two_leases_after(stopped_at: float) -> None:
    await asyncio.sleep(max(0.0, stopped_at + 2 * LEASE_SECONDS - time.time()))


async def gone_on(scene: Scene, first: WorkerProcess, second: WorkerProcess) -> JobRecord:
    """The next job, which the first has done: it is as good as new."""
    await second.kill()
    other = await scene.enqueue()
    await first.reaches(Stage.FINISHED, job_id=other.job_id, attempt=1)
    return other


@pytest.mark.parametrize("stage", _STAGES)
async def test_a_worker_that_wakes_after_the_takeover_writes_nothing(
    scene: Scene, stage: Stage
) -> None:
    second = await scene.start("second", Stage.READY, Stage.FENCED)
    job = await scene.enqueue()
    first, stopped_at = await paused(scene, job.job_id, stage)
    second.go_on()
    # The second has raised the fence and is in the middle of the work when the first wakes.
    await second.reaches(Stage.FENCED, gated=True, attempt=2, job_id=job.job_id)
    taken = await scene.queue.get(job.job_id)
    await until_two_leases_after(stopped_at)
    # The second renews its lease meanwhile: its process stands still while the two are compared.
    second.stop()
    before = await scene.written(job.job_id)
    first.wake()
    await first.reaches(Stage.REFUSED, attempt=1, job_id=job.job_id)
    assert await scene.written(job.job_id) == before
    second.wake()
    second.go_on()
    done = await scene.ended(job.job_id)
    assert (done.status, done.attempt, done.holder) == (JobStatus.SUCCEEDED, 2, "second")
    await second.reaches(Stage.FINISHED, job_id=job.job_id)
    other = await gone_on(scene, first, second)
    resumed_at = taken.started_at or 0.0
    await scene.report(f"worker paused: {stage}", [job, other], resumed_at - stopped_at)


async def test_a_worker_that_wakes_before_the_fence_is_raised_makes_the_one_result(
    scene: Scene,
) -> None:
    """The job is the second's in Redis and the volume does not know yet: still one result."""
    second = await scene.start("second", Stage.READY, Stage.CLAIMED)
    job = await scene.enqueue()
    first, stopped_at = await paused(scene, job.job_id, Stage.RESULT_BEFORE_PUBLISH)
    second.go_on()
    await second.reaches(Stage.CLAIMED, gated=True, attempt=2)
    taken = await scene.queue.get(job.job_id)
    await until_two_leases_after(stopped_at)
    first.wake()
    published = await first.reaches(Stage.RESULT_PUBLISHED, attempt=1)
    second.go_on()
    done = await scene.ended(job.job_id)
    assert done.result == {"artifact_id": job.job_id, "digest": published["digest"]}
    assert (done.status, done.attempt, done.holder) == (JobStatus.SUCCEEDED, 2, "second")
    assert scene.artifacts.ids(RESULT) == [job.job_id]
    await gone_on(scene, first, second)
    resumed_at = taken.started_at or 0.0
    await scene.report(
        "worker paused: wakes between claim and fence", [job], resumed_at - stopped_at
    )
