"""Two services that were started by mistake, with one name, and the same wish sent to both."""

from __future__ import annotations

import asyncio

import pytest

from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobRecord
from services.cluster.store.connection import Store
from tests.faults.scene import LEASE_SECONDS, NUM_STEPS, Scene
from tests.faults.worker import KIND, Stage

pytestmark = pytest.mark.faults

_NUM_WISHES = 6


async def test_one_job_and_one_result_for_each_wish(scene: Scene) -> None:
    twins = [await scene.start("finetune-1", Stage.READY) for _ in range(2)]
    other = await Store.connect(scene.redis.url)
    queues = [JobQueue(store, LEASE_SECONDS) for store in (scene.store, other)]
    payload = {"num_steps": NUM_STEPS}
    jobs: dict[str, JobRecord] = {}
    for twin in twins:
        twin.go_on()
    for number in range(_NUM_WISHES):
        asked = [
            queue.enqueue(KIND, payload, idempotency_key=f"wish-{number}")
            for queue in queues
            for _ in range(4)
        ]
        answers = await asyncio.gather(*asked)
        jobs |= {job.job_id: job for job in answers}
        assert len(jobs) == number + 1
    await other.close()
    for job_id in jobs:
        assert (await scene.ended(job_id)).attempt == 1
        assert sum(len(twin.said(Stage.CLAIMED, job_id=job_id)) for twin in twins) == 1
    assert all(twin.said(Stage.FINISHED) for twin in twins)  # both have worked
    await scene.report("two workers of one name, each wish sent 8 times", [*jobs.values()], None)
