"""kill -9 of a worker at every stage of a job: another goes on where it was, with one result."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from services.cluster.jobs.records import JobStatus
from tests.faults.scene import NUM_STEPS, Scene
from tests.faults.worker import RESULT, Stage, steps_of

pytestmark = pytest.mark.faults

_NUM_KILLS = 10
# Where the gate is, and how many steps of the result are the killed attempt's.
_STAGES = {
    Stage.CLAIMED: 0,
    Stage.FENCED: 0,
    Stage.STEP_BEFORE_PUBLISH: 1,
    Stage.STEP_PUBLISHED: 2,
    Stage.RESULT_BEFORE_PUBLISH: NUM_STEPS,
    Stage.RESULT_PUBLISHED: NUM_STEPS,
    Stage.BEFORE_FINISH: NUM_STEPS,
}


@pytest.mark.parametrize("stage", _STAGES)
async def test_another_worker_goes_on_from_the_last_checkpoint(scene: Scene, stage: Stage) -> None:
    second = await scene.start("second", Stage.READY)
    job = await scene.enqueue()
    first = await scene.start("first", stage)
    await first.reaches(stage, gated=True, job_id=job.job_id)
    killed_at = time.time()
    await first.kill()
    second.go_on()
    claimed = await second.reaches(Stage.CLAIMED, job_id=job.job_id)
    taken = await scene.queue.get(job.job_id)
    assert claimed["attempt"] == 2
    done = await scene.ended(job.job_id)
    assert (done.status, done.attempt, done.holder) == (JobStatus.SUCCEEDED, 2, "second")
    attempts = [attempt for _, attempt in steps_of(scene.artifacts, RESULT, job.job_id)]
    kept = _STAGES[stage]
    assert attempts == [1] * kept + [2] * (NUM_STEPS - kept)
    resumed_at = taken.started_at or 0.0
    await scene.report(f"worker killed: {stage}", [job], resumed_at - killed_at)


async def test_a_job_that_was_finished_is_not_done_again(scene: Scene) -> None:
    job = await scene.enqueue()
    first = await scene.start("first", Stage.FINISHED)
    await first.reaches(Stage.FINISHED, gated=True)
    second = await scene.start("second")
    await first.kill()
    other = await scene.enqueue()
    await second.reaches(Stage.FINISHED, job_id=other.job_id)
    assert (await scene.queue.get(job.job_id)).attempt == 1
    await scene.report(f"worker killed: {Stage.FINISHED}", [job, other], None)


async def test_workers_that_are_killed_at_any_moment_lose_nothing(scene: Scene) -> None:
    """Each of two workers by turns, some time after its first claim, and replaced."""
    jobs = [await scene.enqueue(num_steps=10, max_attempts=20) for _ in range(24)]
    chance = random.Random(5)
    alive = [await scene.start(f"worker-{number}", step_seconds=0.1) for number in range(2)]
    for number in range(_NUM_KILLS):
        victim = alive[number % 2]
        await victim.reaches(Stage.CLAIMED)
        await asyncio.sleep(chance.uniform(0.0, 1.2))  # a job takes about 1.2 s
        await victim.kill()
        alive[number % 2] = await scene.start(f"worker-{number + 2}", step_seconds=0.1)
    for job in jobs:
        await scene.ended(job.job_id, 60)
    await scene.report(f"workers killed {_NUM_KILLS} times at random moments", jobs, None)
