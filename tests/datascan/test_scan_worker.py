"""The worker, with an echo replica behind real RPC."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.errors import Conflict
from services.cluster.jobs.records import JobKind, JobStatus
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from services.datascan import scan_attempt
from services.datascan.filters import Reason
from services.datascan.scans import ScanSchedule
from services.datascan.stage_one import stage_one
from services.datascan.verdict_pages import page_of
from services.datascan.verdict_rows import Step
from services.datascan.verdict_store import scan_place
from tests.datascan.archives import program, zipped
from tests.datascan.running import upload
from tests.datascan.scanning import MODEL, Scanning, echo_replica, verdicts


@pytest.fixture
def slow_disk() -> Iterator[pytest.MonkeyPatch]:
    """Each file takes 20 ms to read, until it is undone: nothing can end before it is stopped."""

    def slowly(*arguments: object) -> Iterator[None]:
        for _ in stage_one(*arguments):  # type: ignore[arg-type]
            time.sleep(0.02)
            yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan_attempt, "stage_one", slowly)
        yield patch


async def test_the_loss_decides_when_a_replica_is_ready(
    scanning: Scanning, settings: ClusterSettings, store: Store, tmp_path: Path
) -> None:
    project_id = await scanning.project(finetune_model=MODEL)
    files = {f"{seed}.py": program(seed, 5) for seed in range(40)}
    await scanning.uploads.take(upload(project_id, "a.zip", zipped({**files, "x.py": "x"})))
    async with echo_replica(settings, store, tmp_path), scanning.working():
        await scanning.cache.refresh()
        scan = await scanning.scan(project_id)
        job = await scanning.ended(scan.job_id)
    assert job.status is JobStatus.SUCCEEDED
    assert job.result is not None
    assert job.result["loss_skipped_reason"] == ""
    found = verdicts(scanning, scan.job_id)
    assert found.pop("a/x.py") == (False, Reason.FILTER_EMPTY, Step.LOSS)
    assert set(found.values()) == {(True, 0, Step.LOSS)}
    dataset = await scanning.place.datasets.get(job.result["dataset_id"])
    assert dataset.model == MODEL
    assert dataset.train.mean_loss is not None
    assert 0.5 < dataset.train.mean_loss < 1.4  # the echo engine's losses
    assert dataset.train.num_tokens > 1000
    assert (job.resume or {})["num_scored_files"] == 41


async def test_a_rescan_asks_for_the_losses_of_what_has_changed_only(
    scanning: Scanning, settings: ClusterSettings, store: Store, tmp_path: Path
) -> None:
    project_id = await scanning.project(finetune_model=MODEL)
    files = {f"{seed}.py": program(seed, 5) for seed in range(10)}
    source = await scanning.uploads.take(upload(project_id, "a.zip", zipped(files)))
    changed = zipped({**files, "3.py": program(30, 5), "new.py": program(31, 5)})
    counts, found = [], []
    async with echo_replica(settings, store, tmp_path), scanning.working():
        await scanning.cache.refresh()
        for content, from_scratch in ((b"", False), (b"", False), (changed, False), (b"", True)):
            if content:
                await scanning.uploads.take(
                    upload(project_id, "a.zip", content, replaced_source_id=source.source_id)
                )
            scan = await scanning.scans.start(
                project_id, pb.SCAN_TRIGGER_USER, from_scratch=from_scratch
            )
            job = await scanning.ended(scan.job_id)
            assert job.status is JobStatus.SUCCEEDED
            told = job.resume or {}
            counts.append((told["num_scored_files"], told["num_reused_files"]))
            place = scan_place(settings.data_dir, scan.job_id)
            rows, _ = page_of(place, pb.ListVerdictsRequest(page_size=1000))
            found.append({row.path: (row.step, row.loss, row.num_tokens) for row in rows})
    assert counts == [(10, 0), (0, 10), (2, 9), (11, 0)]
    assert found[0] == found[1]
    assert found[2] == found[3]


async def test_losses_are_of_one_revision_of_a_model(
    scanning: Scanning, settings: ClusterSettings, store: Store, tmp_path: Path
) -> None:
    scorers = set()
    async with echo_replica(settings, store, tmp_path):
        for revision in ("1", "2", "2"):
            model = ModelRecord(name=MODEL, origin="hub", revision=revision)
            await Registry(store).put_model(model)
            await scanning.cache.refresh()
            scorers.add(scanning.place.replicas.scorer(MODEL))
    assert len(scorers) == 2


async def test_without_a_ready_replica_the_loss_is_left_out(scanning: Scanning) -> None:
    project_id = await scanning.project(finetune_model=MODEL)
    await scanning.uploads.take(upload(project_id, "a.py", program(1).encode()))
    async with scanning.working():
        job = await scanning.ended((await scanning.scan(project_id)).job_id)
    assert job.result is not None
    assert job.result["loss_skipped_reason"] == f"No replica of {MODEL} was ready."


async def test_a_replica_that_ends_in_between_gives_the_scan_back(
    scanning: Scanning, settings: ClusterSettings, store: Store, tmp_path: Path
) -> None:
    project_id = await scanning.project(finetune_model=MODEL)
    await scanning.uploads.take(upload(project_id, "a.py", program(1).encode()))
    async with echo_replica(settings, store, tmp_path) as server:
        await scanning.cache.refresh()
        await server.stop(0)  # its record is still there
        async with scanning.working():
            scan = await scanning.scan(project_id)
            job = await scanning.until(
                scan.job_id, lambda job: job.attempt == 1 and job.status is JobStatus.QUEUED
            )
    assert "No replica of test/echo answers" in job.error


async def test_the_same_content_is_the_same_dataset_and_a_change_is_told(
    scanning: Scanning,
) -> None:
    project_id = await scanning.project()
    content = zipped({"a.py": program(1), "b.py": program(2)})
    source = await scanning.uploads.take(upload(project_id, "a.zip", content))
    async with scanning.working():
        first = await scanning.ended((await scanning.scan(project_id)).job_id)
        again = await scanning.ended((await scanning.scan(project_id)).job_id)
        assert first.job_id != again.job_id
        assert first.result == again.result
        changed = zipped({"a.py": program(1), "b.py": program(3), "c.py": program(4)})
        replaced = await scanning.uploads.take(
            upload(project_id, "new.zip", changed, replaced_source_id=source.source_id)
        )
        assert (replaced.source_id, replaced.name) == (source.source_id, "a")
        third = await scanning.ended((await scanning.scan(project_id)).job_id)
    assert third.result is not None
    ids = await scanning.place.datasets.ids(project_id)
    assert len(ids) == 2
    change = (await scanning.place.datasets.get(third.result["dataset_id"])).change
    assert change is not None
    assert (change.num_added_files, change.num_removed_files, change.num_changed_files) == (1, 0, 1)
    stored = scanning.place.artifacts.manifests(ArtifactKind.SOURCE)
    assert [manifest.artifact_id for manifest in stored] == [replaced.artifact_id]


async def test_one_scan_is_open_and_the_newest_wins(scanning: Scanning) -> None:
    project_id = await scanning.project()
    await scanning.uploads.take(upload(project_id, "a.py", program(1).encode()))
    started = await asyncio.gather(*(scanning.scan(project_id) for _ in range(6)))
    assert len({job.job_id for job in started}) == 1
    await scanning.uploads.take(upload(project_id, "b.py", program(2).encode()))
    newer = await scanning.scan(project_id)
    assert (await scanning.scans.get(started[0].job_id)).status is JobStatus.CANCELLED
    running = await scanning.place.jobs.claim(JobKind.SCAN, "w")
    assert running is not None
    assert running.job_id == newer.job_id
    assert (await scanning.scan(project_id)).job_id == newer.job_id
    await scanning.uploads.take(upload(project_id, "c.py", program(3).encode()))
    newest = await scanning.scan(project_id)
    assert (await scanning.scans.get(newer.job_id)).cancel_requested
    assert newest.status is JobStatus.QUEUED
    ids = await scanning.place.projects.scan_ids(project_id)
    assert ids == [newest.job_id, newer.job_id, started[0].job_id]


@pytest.mark.parametrize("is_running", [False, True])
async def test_a_change_that_an_open_scan_has_seen_starts_no_other(
    scanning: Scanning, is_running: bool
) -> None:
    project_id = await scanning.project()
    source = await scanning.uploads.take(upload(project_id, "a.py", program(1).encode()))
    scan = await scanning.scan(project_id)
    if is_running:
        assert await scanning.place.jobs.claim(JobKind.SCAN, "w")
    schedule = ScanSchedule(scanning.scans, scanning.place.projects)
    await schedule.look()
    assert await scanning.place.projects.due() == []
    assert await scanning.place.projects.scan_ids(project_id) == [scan.job_id]
    seen = await scanning.scans.get(scan.job_id)
    assert seen.status is (JobStatus.RUNNING if is_running else JobStatus.QUEUED)
    assert not seen.cancel_requested
    # The same source with other bytes is another scan.
    replaces = {"replaced_source_id": source.source_id}
    await scanning.uploads.take(upload(project_id, "a.py", program(2).encode(), **replaces))
    await schedule.look()
    assert len(await scanning.place.projects.scan_ids(project_id)) == 2
    # One that is being cancelled does not count either.
    newest = await scanning.place.projects.get(project_id)
    await scanning.scans.cancel(newest.latest_scan_id)
    assert (await scanning.scan(project_id)).job_id != newest.latest_scan_id


async def test_nothing_is_scanned_by_itself_only(scanning: Scanning) -> None:
    project_id = await scanning.project()
    with pytest.raises(Conflict, match="no source to scan"):
        await scanning.scan(project_id)
    source = await scanning.uploads.take(upload(project_id, "a.py", program(1).encode()))
    await scanning.place.sources.delete(source.source_id)
    await ScanSchedule(scanning.scans, scanning.place.projects).look()
    (scan_id,) = await scanning.place.projects.scan_ids(project_id)
    async with scanning.working():
        job = await scanning.ended(scan_id)
    assert job.result is not None
    dataset = await scanning.place.datasets.get(job.result["dataset_id"])
    assert (dataset.train.num_files, dataset.test.num_files) == (0, 0)


async def test_changes_of_sources_start_one_scan(scanning: Scanning) -> None:
    schedule = ScanSchedule(scanning.scans, scanning.place.projects)
    project_id = await scanning.project()
    manual = await scanning.project("manual", manual_scans=True)
    for name in ("a.py", "b.py"):
        await scanning.uploads.take(upload(project_id, name, program(1).encode()))
        await scanning.uploads.take(upload(manual, name, program(1).encode()))
    await schedule.look()
    await schedule.look()
    (job,) = await scanning.place.jobs.history(JobKind.SCAN)
    assert (job.project_id, job.payload["trigger"]) == (project_id, "SCAN_TRIGGER_SOURCES")
    assert len(job.payload["sourceIds"]) == 2


async def test_a_stopped_worker_gives_its_scan_back(
    scanning: Scanning, slow_disk: pytest.MonkeyPatch
) -> None:
    project_id = await scanning.project()
    files = {f"{seed}.py": program(seed) for seed in range(1500)}
    await scanning.uploads.take(upload(project_id, "a.zip", zipped(files)))
    scan = await scanning.scan(project_id)
    async with scanning.working():
        await scanning.until(scan.job_id, lambda job: bool(job.progress and job.progress.num_done))
    job = await scanning.scans.get(scan.job_id)
    assert (job.status, job.attempt) == (JobStatus.QUEUED, 1)
    slow_disk.undo()
    async with scanning.working():
        job = await scanning.ended(scan.job_id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 2)
    assert len(verdicts(scanning, scan.job_id)) == 1000  # the first page


async def test_a_scan_whose_lease_was_lost_publishes_nothing(
    scanning: Scanning, store: Store, slow_disk: pytest.MonkeyPatch
) -> None:
    project_id = await scanning.project()
    files = {f"{seed}.py": program(seed) for seed in range(1500)}
    await scanning.uploads.take(upload(project_id, "a.zip", zipped(files)))
    scan = await scanning.scan(project_id)
    async with scanning.working():
        await scanning.until(scan.job_id, lambda job: bool(job.progress))
        swept: list[str] = []
        while not swept:  # its heartbeat may come in between
            await store.redis.zadd(Keys.JOB_RUNNING.format(JobKind.SCAN), {scan.job_id: 1})
            swept = await scanning.place.jobs.sweep(JobKind.SCAN)
        taken = await scanning.place.jobs.claim(JobKind.SCAN, "other")
        assert taken is not None
    assert scanning.place.artifacts.manifests(ArtifactKind.DATASET) == []
    assert (await scanning.scans.get(scan.job_id)).holder == "other"


async def test_a_source_that_was_deleted_is_left_out(scanning: Scanning) -> None:
    project_id = await scanning.project()
    kept = await scanning.uploads.take(upload(project_id, "a.py", program(1).encode()))
    gone = await scanning.uploads.take(upload(project_id, "b.py", program(2).encode()))
    scan = await scanning.scan(project_id)
    await scanning.place.sources.delete(gone.source_id)
    async with scanning.working():
        job = await scanning.ended(scan.job_id)
    assert job.status is JobStatus.SUCCEEDED
    assert job.result is not None
    dataset = await scanning.place.datasets.get(job.result["dataset_id"])
    assert [source.source_id for source in dataset.sources] == [kept.source_id]


async def test_the_same_key_is_the_same_upload(scanning: Scanning) -> None:
    project_id = await scanning.project()
    first = await scanning.uploads.take(upload(project_id, "a.py", b"x = 1", idempotency_key="k"))
    again = await scanning.uploads.take(upload(project_id, "a.py", b"x = 1", idempotency_key="k"))
    assert first == again
    with pytest.raises(Conflict, match="named a.py already"):
        await scanning.uploads.take(
            upload(project_id, "b.py", b"x = 2", spec=pb.SourceSpec(name="a.py"))
        )
    stored = scanning.place.artifacts.manifests(ArtifactKind.SOURCE)
    assert [manifest.artifact_id for manifest in stored] == [first.artifact_id]


async def test_a_project_whose_last_scan_was_forgotten_is_scanned_again(
    scanning: Scanning,
) -> None:
    project_id = await scanning.project()
    await scanning.uploads.take(upload(project_id, "a.py", program(1).encode()))
    first = await scanning.scan(project_id)
    async with scanning.working():
        await scanning.ended(first.job_id)
    await scanning.place.jobs.forget(first.job_id)
    await scanning.uploads.take(upload(project_id, "b.py", program(2).encode()))
    await ScanSchedule(scanning.scans, scanning.place.projects).look()
    (scan_id,) = await scanning.place.projects.scan_ids(project_id)
    await scanning.scans.cancel_if_open(first.job_id)
    async with scanning.working():
        assert (await scanning.ended(scan_id)).status is JobStatus.SUCCEEDED
