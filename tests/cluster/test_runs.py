from __future__ import annotations

import pytest

from services.cluster.errors import LeaseLost, NotFound
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobRecord
from services.cluster.runs import (
    EvaluationRecord,
    EvaluationStatus,
    PublishedAdapter,
    Runs,
    RunState,
)
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys


async def claimed(queue: JobQueue) -> JobRecord:
    job = await queue.claim(JobKind.RUN, "w")
    assert job is not None
    return job


def evaluation(run_id: str) -> EvaluationRecord:
    return EvaluationRecord(
        evaluation_id="e1",
        run_id=run_id,
        project_id="p",
        team_id="",
        checkpoint_id="c",
        model="m",
        dataset_id="d",
        status=EvaluationStatus.RUNNING,
        created_at=1.0,
    )


async def test_a_holder_writes_and_everybody_reads(store: Store) -> None:
    queue, runs = JobQueue(store), Runs(store)
    job = await queue.enqueue(JobKind.RUN, {})
    assert await runs.state(job.job_id) == RunState(run_id=job.job_id)
    job = await claimed(queue)
    state = RunState(run_id=job.job_id, num_done_steps=3, train_loss=0.1)
    await runs.put_state(job, state)
    assert await runs.state(job.job_id) == state
    await runs.put_evaluation(job, evaluation(job.job_id))
    assert (await runs.evaluation("e1")).run_id == job.job_id
    with pytest.raises(NotFound, match="no evaluation e2"):
        await runs.evaluation("e2")


async def test_whoever_lost_the_run_writes_nothing(store: Store) -> None:
    queue, runs = JobQueue(store), Runs(store)
    await queue.enqueue(JobKind.RUN, {})
    lost = await claimed(queue)
    await store.redis.zadd(Keys.JOB_RUNNING.format(JobKind.RUN), {lost.job_id: 1})
    await queue.sweep(JobKind.RUN)
    with pytest.raises(LeaseLost):
        await runs.put_state(lost, RunState(run_id=lost.job_id))
    taken = await claimed(queue)
    await runs.put_state(taken, RunState(run_id=taken.job_id, attempt=2))
    with pytest.raises(LeaseLost):
        await runs.put_evaluation(lost, evaluation(lost.job_id))
    assert (await runs.state(lost.job_id)).attempt == 2
    await queue.succeed(taken, {})
    with pytest.raises(LeaseLost):
        await runs.put_state(taken, RunState(run_id=taken.job_id))


async def test_an_adapter_published_twice_is_one(store: Store) -> None:
    runs = Runs(store)
    adapter = PublishedAdapter(adapter_id="a", run_id="r", checkpoint_id="c", tags=("x",))
    for _ in range(2):
        await runs.add_adapter(adapter)
    assert await runs.adapters("r") == {"a": adapter}
    assert await runs.adapters("other") == {}


async def test_a_job_is_known_by_its_idempotency_key(store: Store) -> None:
    queue = JobQueue(store)
    job = await queue.enqueue(JobKind.RUN, {}, idempotency_key="k")
    assert await queue.known(JobKind.RUN, "k") == job
    assert await queue.known(JobKind.SCAN, "k") is None
