"""Redis has reached its maxmemory: nothing new is accepted, and what runs is not thrown away."""

from __future__ import annotations

import asyncio
import time

import pytest

from services.cluster.errors import StoreUnavailable
from services.cluster.jobs.records import JobStatus
from tests.faults.scene import LEASE_SECONDS, Scene
from tests.faults.worker import KIND, Stage

pytestmark = pytest.mark.faults

_STEP_SECONDS = 0.2


async def limit(scene: Scene, memory: str) -> None:
    await scene.store.redis.config_set("maxmemory", memory)


async def fill(scene: Scene) -> None:
    await limit(scene, "512kb")  # less than an empty Redis takes


async def test_what_runs_outlives_a_full_redis(scene: Scene) -> None:
    full_seconds = 3 * LEASE_SECONDS
    second = await scene.start("second", Stage.READY)
    job = await scene.enqueue(num_steps=int((full_seconds + LEASE_SECONDS) / _STEP_SECONDS))
    first = await scene.start("first", step_seconds=_STEP_SECONDS)
    await first.reaches(Stage.STEP_PUBLISHED, step=2)
    queued = await scene.enqueue()
    await fill(scene)
    second.go_on()  # what is queued is done as well
    full_until = time.monotonic() + full_seconds
    num_refused = 0
    while time.monotonic() < full_until:
        with pytest.raises(StoreUnavailable, match="maxmemory and takes no writes"):
            await scene.enqueue(idempotency_key="k")
        num_refused += 1
        await asyncio.sleep(0.2)
    assert num_refused > 10
    assert await scene.queue.known(KIND, "k") is None  # nothing of them is there
    assert {known.job_id for known in await scene.queue.history(KIND)} == {
        job.job_id,
        queued.job_id,
    }
    assert (await scene.ended(queued.job_id)).holder == "second"
    running = await scene.queue.get(job.job_id)
    assert (running.status, running.attempt) == (JobStatus.RUNNING, 1)
    await limit(scene, "0")
    later = await scene.enqueue(idempotency_key="k")
    done = [await scene.ended(each.job_id) for each in (job, queued, later)]
    assert (done[0].attempt, done[0].holder, done[0].num_failures) == (1, "first", 0)
    await scene.report(f"Redis full for {full_seconds:g} s", [job, queued, later], None)


async def test_a_worker_that_is_killed_while_redis_is_full_is_taken_over(scene: Scene) -> None:
    second = await scene.start("second", Stage.READY)
    job = await scene.enqueue()
    first = await scene.start("first", Stage.STEP_PUBLISHED)
    await first.reaches(Stage.STEP_PUBLISHED, gated=True)
    await fill(scene)
    second.go_on()
    killed_at = time.time()
    await first.kill()
    done = await scene.ended(job.job_id)
    assert (done.status, done.attempt, done.holder) == (JobStatus.SUCCEEDED, 2, "second")
    resume_seconds = (done.started_at or 0.0) - killed_at
    await scene.report("worker killed while Redis is full", [job], resume_seconds)
