"""The client sends a script again when its answer is late: nothing may happen twice for that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from services.cluster.errors import StoreUnavailable
from services.cluster.jobs import scripts
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobStatus
from services.cluster.project_records import ProjectRecord
from services.cluster.projects import Projects
from services.cluster.store.connection import Store

SCAN = JobKind.SCAN


class LateStore(Store):
    """Every script has run once before the one whose answer counts; or no answer comes at all."""

    silent = False

    async def run(self, source: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        await super().run(source, keys, args)
        if self.silent:
            raise StoreUnavailable("No answer came.")
        return await super().run(source, keys, args)


@pytest.fixture
def late(store: Store) -> LateStore:
    return LateStore(store.redis)


async def test_a_job_of_late_answers_lives_as_any_other(late: LateStore, store: Store) -> None:
    queue = JobQueue(late)
    job = await queue.enqueue(SCAN, {}, idempotency_key="k")
    other = await queue.enqueue(SCAN, {})
    first = await queue.claim(SCAN, "w1")
    assert first is not None
    assert (first.job_id, first.attempt) == (job.job_id, 1)
    await queue.heartbeat(first)
    await queue.retry(first, "why", 0)
    assert (await queue.get(job.job_id)).num_failures == 1
    again = await queue.claim(SCAN, "w1")
    assert again is not None
    assert (again.job_id, again.attempt) == (job.job_id, 2)
    await queue.succeed(again, {"n": 1})
    assert (await queue.cancel(other.job_id)).status is JobStatus.CANCELLED
    events = [event.event async for event in JobQueue(store).events(job.job_id)]
    assert events == ["queued", "running", "queued", "running", "succeeded"]


async def test_dependents_are_released_once(late: LateStore) -> None:
    queue = JobQueue(late)
    scans = [await queue.enqueue(SCAN, {}) for _ in range(2)]
    run = await queue.enqueue(JobKind.RUN, {}, depends_on=[scan.job_id for scan in scans])
    claimed = await queue.claim(SCAN, "w1")
    assert claimed is not None
    await queue.succeed(claimed, {})
    assert await queue.claim(JobKind.RUN, "w1") is None
    claimed = await queue.claim(SCAN, "w1")
    assert claimed is not None
    await queue.succeed(claimed, {})
    found = await queue.claim(JobKind.RUN, "w1")
    assert found is not None
    assert found.job_id == run.job_id


async def test_a_claim_whose_answer_was_lost_is_answered_by_the_next(
    late: LateStore, store: Store
) -> None:
    queue = JobQueue(late)
    job = await JobQueue(store).enqueue(SCAN, {})
    late.silent = True
    with pytest.raises(StoreUnavailable):
        await queue.claim(SCAN, "w1")
    late.silent = False
    assert await JobQueue(store).claim(SCAN, "w2") is None
    claimed = await queue.claim(SCAN, "w1")
    assert claimed is not None
    assert (claimed.job_id, claimed.attempt, claimed.holder) == (job.job_id, 1, "w1")


async def test_a_lost_claim_that_was_swept_is_not_answered_again(
    late: LateStore, store: Store
) -> None:
    queue = JobQueue(late, lease_seconds=0.01)
    await JobQueue(store).enqueue(SCAN, {})
    late.silent = True
    with pytest.raises(StoreUnavailable):
        await queue.claim(SCAN, "w1")
    late.silent = False
    while not await JobQueue(store).sweep(SCAN):
        pass
    taken = await JobQueue(store).claim(SCAN, "w2")
    assert taken is not None
    assert await queue.claim(SCAN, "w1") is None


async def test_no_more_than_so_many_ended_jobs_are_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lowered = scripts.FINISH.replace(
        f"redis.call('ZCARD', ENDED .. kind) - {scripts.KEPT_ENDED_JOBS}",
        "redis.call('ZCARD', ENDED .. kind) - 3",
    )
    assert lowered != scripts.FINISH
    monkeypatch.setattr(scripts, "FINISH", lowered)
    queue = JobQueue(store)
    for number in range(6):
        await queue.enqueue(SCAN, {}, idempotency_key=str(number))
        claimed = await queue.claim(SCAN, "w1")
        assert claimed is not None
        await queue.succeed(claimed, {})
    assert len(await queue.history(SCAN)) == 3
    assert await queue.known(SCAN, "2") is None
    assert await store.redis.hlen("hearth:job-claims:scan") == 0
    keys = await store.redis.keys("hearth:job:*")
    assert len(keys) == 3
    assert len(await store.redis.keys("hearth:job-events:*")) == 3
    assert await store.redis.hlen("hearth:job-idempotency") == 3


async def test_a_scan_that_is_forgotten_leaves_its_project(store: Store) -> None:
    queue, projects = JobQueue(store), Projects(store)
    project = ProjectRecord(project_id="p", team_id="t", name="p", created_at=1, updated_at=1)
    await projects.create(project)
    job = await queue.enqueue(SCAN, {}, project_id="p")
    assert await projects.record_scan("p", "", job.job_id)
    assert await projects.scan_ids("p") == [job.job_id]
    claimed = await queue.claim(SCAN, "w1")
    assert claimed is not None
    await queue.succeed(claimed, {})
    await queue.forget(job.job_id)
    assert await projects.scan_ids("p") == []
