from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from services.cluster.datasets import Datasets, NotWanted
from services.cluster.errors import Conflict, LeaseLost, NotFound
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobRecord
from services.cluster.jobs.scripts import CANCEL
from services.cluster.project_records import (
    DatasetRecord,
    ProjectRecord,
    SourceCounts,
    SourceKind,
    SourceRecord,
)
from services.cluster.projects import Projects
from services.cluster.sources import Sources
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys


def project(project_id: str = "p1", name: str = "web", **fields: object) -> ProjectRecord:
    given = {"project_id": project_id, "team_id": "t", "name": name, "created_at": 1.0}
    return ProjectRecord.model_validate({**given, "updated_at": 1.0, **fields})


def source(source_id: str = "s1", name: str = "code", project_id: str = "p1") -> SourceRecord:
    return SourceRecord(
        source_id=source_id,
        project_id=project_id,
        team_id="t",
        kind=SourceKind.FILE,
        name=name,
        artifact_id=f"{source_id}-1",
        file_name="a.py",
        size_bytes=1,
        sha256="0",
        created_at=1.0,
        fetched_at=1.0,
    )


def dataset(dataset_id: str = "d1", scan_id: str = "x") -> DatasetRecord:
    return DatasetRecord(
        dataset_id=dataset_id, project_id="p1", team_id="t", scan_id=scan_id, created_at=1.0
    )


async def claimed_scan(store: Store) -> JobRecord:
    jobs = JobQueue(store)
    await jobs.enqueue(JobKind.SCAN, {}, project_id="p1")
    job = await jobs.claim(JobKind.SCAN, "w1")
    assert job is not None
    return job


async def test_a_name_is_unique_in_its_team(store: Store) -> None:
    projects = Projects(store)
    await projects.create(project())
    with pytest.raises(Conflict, match="named web already"):
        await projects.create(project("p2"))
    await projects.create(project("p2", "web", team_id="other"))
    await projects.create(project("p3", "app"))
    with pytest.raises(Conflict):
        await projects.change("p3", lambda p: p.model_copy(update={"name": "web"}))
    await projects.change("p1", lambda p: p.model_copy(update={"name": "web2"}))
    await projects.change("p3", lambda p: p.model_copy(update={"name": "web"}))
    assert [view.project.name for view in await projects.all()] == ["web", "web", "web2"]


class RepeatingStore(Store):
    """Runs every script twice, as the client does when the first answer is late."""

    async def run(self, source: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        await super().run(source, keys, args)
        return await super().run(source, keys, args)


async def test_every_transition_accepts_its_own_repetition(store: Store) -> None:
    again = RepeatingStore(store.redis)
    projects, sources = Projects(again), Sources(again)
    await projects.create(project())
    calls = 0

    def renamed(current: SourceRecord) -> SourceRecord:
        nonlocal calls
        calls += 1
        return current.model_copy(update={"name": "new"})

    await projects.change("p1", lambda p: p.model_copy(update={"name": "web2"}))
    assert await sources.add(source()) == source()
    changed = await sources.change("s1", renamed)
    assert (calls, [one for one, _ in await sources.all("p1")]) == (1, [changed])
    assert await sources.delete("s1") == changed
    await projects.delete("p1")
    assert await projects.all() == []
    job = await JobQueue(again).enqueue(JobKind.SCAN, {})
    assert await store.redis.get(Keys.JOB_NUMBER) == "1"
    assert await store.redis.xlen(Keys.JOB_EVENTS.format(job.job_id)) == 1


async def test_an_id_may_hold_a_percent_sign(store: Store) -> None:
    with pytest.raises(NotFound, match="no project %2"):
        await Projects(store).get("%2")
    assert await store.run(CANCEL, [], ["%2", JobKind.SCAN]) == 0


async def test_changes_of_two_writers_are_both_kept(store: Store) -> None:
    projects = Projects(store)
    await projects.create(project())

    async def add(team: str) -> None:
        await projects.change(
            "p1", lambda p: p.model_copy(update={"reader_team_ids": (*p.reader_team_ids, team)})
        )

    await asyncio.gather(*(add(str(number)) for number in range(8)))
    readers = (await projects.get("p1")).project.reader_team_ids
    assert sorted(readers) == [str(number) for number in range(8)]


async def test_a_change_of_sources_makes_a_scan_due_unless_scans_are_manual(store: Store) -> None:
    projects, sources = Projects(store), Sources(store, scan_delay_seconds=0)
    await projects.create(project())
    await projects.create(project("p2", "manual", manual_scans=True))
    assert await projects.due() == []
    await sources.add(source())
    await sources.add(source("s2", project_id="p2"))
    ((due, mark),) = await projects.due()
    assert due == "p1"
    await sources.change("s1", lambda s: s.model_copy(update={"name": "new"}))
    await projects.settle_due("p1", mark)
    ((_, mark),) = await projects.due()  # it changed since
    await projects.settle_due("p1", mark)
    assert await projects.due() == []
    await sources.delete("s1")
    assert [project_id for project_id, _ in await projects.due()] == ["p1"]


async def test_a_scan_is_not_due_before_its_delay(store: Store) -> None:
    projects, sources = Projects(store), Sources(store, scan_delay_seconds=3600)
    await projects.create(project())
    await sources.add(source())
    assert await projects.due() == []
    assert await store.redis.zscore(Keys.SCANS_DUE, "p1") is not None


async def test_the_same_idempotency_key_is_the_same_source(store: Store) -> None:
    projects, sources = Projects(store), Sources(store)
    await projects.create(project())
    added = await asyncio.gather(
        *(sources.add(source(f"s{n}", f"n{n}"), idempotency_key="k") for n in range(8))
    )
    assert len({one.source_id for one in added}) == 1
    assert len(await sources.all("p1")) == 1
    assert await sources.of_key("p1", "k") == added[0]
    await sources.delete(added[0].source_id)
    assert await sources.of_key("p1", "k") is None


async def test_sources_need_a_project_and_a_free_name(store: Store) -> None:
    projects, sources = Projects(store), Sources(store)
    with pytest.raises(NotFound, match="no project p1"):
        await sources.add(source())
    with pytest.raises(NotFound):
        await sources.all("p1")
    await projects.create(project())
    await sources.add(source())
    with pytest.raises(Conflict, match="named code already"):
        await sources.add(source("s2"))
    with pytest.raises(NotFound, match="no source s9"):
        await sources.get("s9")


async def test_changes_of_sources_can_be_followed(store: Store) -> None:
    projects, sources = Projects(store), Sources(store)
    await projects.create(project())
    mark = await sources.mark("p1")
    changes = sources.changes("p1", mark)
    await sources.add(source())
    assert await anext(changes) == "s1"
    await sources.delete("s1")
    assert await anext(changes) == "s1"
    await projects.delete("p1")
    with pytest.raises(NotFound):
        await anext(changes)


async def test_only_one_scan_is_recorded_after_another(store: Store) -> None:
    projects = Projects(store)
    await projects.create(project())
    assert await projects.record_scan("p1", "", "scan-1")
    assert await projects.record_scan("p1", "", "scan-1")
    assert not await projects.record_scan("p1", "", "scan-2")
    assert await projects.record_scan("p1", "scan-1", "scan-3")
    assert (await projects.get("p1")).latest_scan_id == "scan-3"
    assert await projects.scan_ids("p1") == ["scan-3", "scan-1"]
    with pytest.raises(NotFound):
        await projects.record_scan("p9", "", "scan-1")


async def test_a_dataset_comes_in_force_with_what_its_scan_saw(store: Store) -> None:
    projects, sources, datasets = Projects(store), Sources(store), Datasets(store)
    await projects.create(project())
    await sources.add(source())
    job = await claimed_scan(store)
    counts = SourceCounts(scan_id=job.job_id, num_files=3, num_accepted_files=2)
    await datasets.record(job, dataset(), {"s1": counts, "deleted": counts})
    await datasets.record(job, dataset(scan_id="later"), {})
    assert (await datasets.get("d1")).scan_id == "x"
    assert await datasets.ids("p1") == ["d1"]
    view = await projects.get("p1")
    assert (view.latest_dataset_id, view.num_sources) == ("d1", 1)
    assert await sources.all("p1") == [(source(), counts)]
    assert await sources.counts("deleted") is None


async def test_a_lost_or_cancelled_scan_puts_no_dataset_in_force(store: Store) -> None:
    projects, datasets, jobs = Projects(store), Datasets(store), JobQueue(store)
    await projects.create(project())
    lost = await claimed_scan(store)
    await store.redis.zadd(Keys.JOB_RUNNING.format(JobKind.SCAN), {lost.job_id: 1})
    await jobs.sweep(JobKind.SCAN)
    taken = await jobs.claim(JobKind.SCAN, "w2")
    assert taken is not None
    with pytest.raises(LeaseLost):
        await datasets.record(lost, dataset(), {})
    await jobs.cancel(taken.job_id)
    with pytest.raises(NotWanted, match="cancelled"):
        await datasets.record(taken, dataset(), {})
    assert await datasets.ids("p1") == []


async def test_a_deleted_project_takes_everything_along(store: Store) -> None:
    before = set(await store.redis.keys())
    projects, sources, datasets = Projects(store), Sources(store), Datasets(store)
    await projects.create(project())
    await sources.add(source(), idempotency_key="k")
    await projects.record_scan("p1", "", "scan-1")
    job = await claimed_scan(store)
    counts = SourceCounts(scan_id=job.job_id, num_files=1, num_accepted_files=1)
    await datasets.record(job, dataset(), {"s1": counts})
    await projects.delete("p1")
    left = {key for key in await store.redis.keys() if "job" not in key and "lease" not in key}
    assert left == before
    with pytest.raises(NotFound):
        await projects.get("p1")
    with pytest.raises(NotFound):
        await projects.delete("p1")
