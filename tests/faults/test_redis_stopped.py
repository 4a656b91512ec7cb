"""Redis is away: nobody's work is thrown away, and nothing is taken over before it is fair to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from services.cluster.errors import StoreUnavailable
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobStatus
from services.cluster.store.connection import Store
from tests.faults.scene import LEASE_SECONDS, Scene
from tests.faults.worker import KIND, Stage

pytestmark = pytest.mark.faults

_ANSWER_SECONDS = 2.5
_START_SECONDS = 10.0
_STEP_SECONDS = 0.2


async def refused(scene: Scene) -> float:
    """How many seconds the refusal of a submission took."""
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match="Redis"):
        await scene.enqueue()
    return time.monotonic() - begun


async def done_by_the_first(scene: Scene, job_id: str) -> None:
    done = await scene.ended(job_id)
    assert (done.status, done.attempt, done.holder) == (JobStatus.SUCCEEDED, 1, "first")
    assert done.num_failures == 0


@pytest.mark.parametrize("num_seconds", [3 * LEASE_SECONDS, 30.0])
async def test_a_job_is_not_taken_over_while_redis_is_stopped(
    scene: Scene, num_seconds: float
) -> None:
    await scene.start("second", Stage.READY)  # it sweeps
    job = await scene.enqueue(num_steps=int((num_seconds + 1) / _STEP_SECONDS))
    first = await scene.start("first", step_seconds=_STEP_SECONDS)
    await first.reaches(Stage.STEP_PUBLISHED, step=2)
    scene.redis.stop()
    stopped_at = time.monotonic()
    took = await refused(scene)
    assert took <= _ANSWER_SECONDS
    num_before = len(first.said(Stage.STEP_PUBLISHED))
    await asyncio.sleep(stopped_at + num_seconds - time.monotonic())
    num_steps = len(first.said(Stage.STEP_PUBLISHED)) - num_before
    assert num_steps > (num_seconds - took) / _STEP_SECONDS / 3  # it worked on
    scene.redis.wake()
    await scene.store.wait_ready(_START_SECONDS)
    other = await scene.enqueue(num_steps=1)
    await done_by_the_first(scene, job.job_id)
    await scene.ended(other.job_id)
    await scene.report(f"Redis stopped {num_seconds:g} s", [job, other], None)


async def test_a_holder_keeps_its_job_over_a_restart_of_redis(scene: Scene) -> None:
    await scene.start("second", Stage.READY)
    job = await scene.enqueue(num_steps=int(5 * LEASE_SECONDS / _STEP_SECONDS))
    first = await scene.start("first", step_seconds=_STEP_SECONDS)
    await first.reaches(Stage.STEP_PUBLISHED, step=2)
    scene.redis.kill()
    away = 1.5 * LEASE_SECONDS
    await asyncio.sleep(away)
    scene.redis.start()
    await scene.store.wait_ready(_START_SECONDS)
    await done_by_the_first(scene, job.job_id)
    await scene.report(f"Redis killed, started again after {away:g} s", [job], None)


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_worker_that_is_lost_with_redis_is_taken_over_a_lease_after_its_return(
    scene: Scene, how: str
) -> None:
    """Until then it could not have been heard of, were it alive."""
    second = await scene.start("second", Stage.READY)
    job = await scene.enqueue()
    first = await scene.start("first", Stage.STEP_PUBLISHED)
    await first.reaches(Stage.STEP_PUBLISHED, gated=True)
    if how == "stopped":
        scene.redis.stop()
    else:
        scene.redis.kill()
    await first.kill()
    second.go_on()
    await asyncio.sleep(1.5 * LEASE_SECONDS)
    if how == "stopped":
        scene.redis.wake()
    else:
        scene.redis.start()
    await scene.store.wait_ready(_START_SECONDS)
    back_at = time.time()
    await second.reaches(Stage.CLAIMED, attempt=2)
    taken = await scene.queue.get(job.job_id)
    resume_seconds = (taken.started_at or 0.0) - back_at
    assert resume_seconds >= LEASE_SECONDS - 0.1  # back_at is a moment after its return
    await scene.ended(job.job_id)
    await scene.report(f"Redis {how}, worker killed meanwhile", [job], resume_seconds)


class SlowStore(Store):
    """After it has asked for the time it does `then`, once: before whatever it was asked for."""

    then: Callable[[], None] | None = None

    async def time(self) -> float:
        answer = await super().time()
        if self.then:
            self.then()
            self.then = None
        return answer


async def test_a_sweep_that_was_under_way_when_redis_stopped_takes_nothing_away(
    scene: Scene,
) -> None:
    """What was sent to a stopped Redis is done when it goes on: before any holder can renew."""
    job = await scene.enqueue(num_steps=int(3 * LEASE_SECONDS / _STEP_SECONDS))
    first = await scene.start("first", step_seconds=_STEP_SECONDS)
    await first.reaches(Stage.STEP_PUBLISHED, step=2)
    store = await SlowStore.connect(scene.redis.url)
    assert isinstance(store, SlowStore)
    sweeping = JobQueue(store, LEASE_SECONDS)
    assert await sweeping.sweep(KIND) == []  # Redis knows the script from now on
    store.then = scene.redis.stop
    with pytest.raises(StoreUnavailable):
        await sweeping.sweep(KIND)
    await asyncio.sleep(LEASE_SECONDS)
    scene.redis.wake()
    await done_by_the_first(scene, job.job_id)
    await store.close()
    await scene.report("Redis stopped within a sweep", [job], None)
