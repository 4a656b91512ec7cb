"""What is collected, and above all what is not."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cluster.artifacts.collect import collect, main, table
from services.cluster.artifacts.fences import Fence
from services.cluster.artifacts.garbage import MIN_GRACE_SECONDS, garbage
from services.cluster.artifacts.incoming import Incoming
from services.cluster.artifacts.manifest import MANIFEST, ArtifactKind, Manifest, ManifestFile
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.artifacts.sweeper import Refuse, Sweeper
from services.cluster.errors import Conflict, NotFound, Unavailable
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind
from services.cluster.project_records import SourceKind, SourceRecord
from services.cluster.records import AdapterRecord
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

SOURCE, DATASET = ArtifactKind.SOURCE, ArtifactKind.DATASET
CHECKPOINT, ADAPTER = ArtifactKind.CHECKPOINT, ArtifactKind.ADAPTER
HOUR = 3600.0
DAY = 24 * HOUR
ROOT = Path(__file__).parents[3]

ids = st.sampled_from("abcdef")
manifests = st.builds(
    Manifest,
    kind=st.sampled_from(ArtifactKind),
    artifact_id=ids,
    files=st.just(()),
    created_at=st.floats(0, 1e6),
)


@given(
    found=st.lists(manifests),
    references=st.dictionaries(st.sampled_from(ArtifactKind), st.sets(ids)),
    now=st.floats(0, 2e6),
    grace_seconds=st.floats(-1e6, 1e6),
)
def test_what_is_named_or_young_is_never_garbage(
    found: list[Manifest],
    references: dict[ArtifactKind, set[str]],
    now: float,
    grace_seconds: float,
) -> None:
    gone = garbage(found, references, now, grace_seconds)
    for manifest in found:
        named = manifest.artifact_id in references.get(manifest.kind, ())
        young = manifest.created_at >= now - max(grace_seconds, MIN_GRACE_SECONDS)
        assert (manifest in gone) == (not named and not young)


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


def publish(
    artifacts: ArtifactStore,
    kind: ArtifactKind,
    artifact_id: str,
    age_seconds: float,
    run: str = "",
) -> None:
    """As it would look when it had been published so long ago."""
    with artifacts.draft(kind, artifact_id) as draft:
        draft.file("deep/w").write_text("x" * 1000)
        manifest = draft.publish({"run_id": run} if run else {})
    created_at = time.time() - age_seconds
    place = artifacts.path(kind, artifact_id) / MANIFEST
    old = manifest.model_copy(update={"created_at": created_at}).sealed()
    place.write_text(old.model_dump_json())
    os.utime(place, (created_at, created_at))


def make_old(place: Path, age_seconds: float = 2 * DAY) -> None:
    written_at = time.time() - age_seconds
    for each in (*place.rglob("*"), place):
        os.utime(each, (written_at, written_at))


def gone(artifacts: ArtifactStore, **references: set[str]) -> list[str]:
    """What a sweep takes away, after a dry run said the same and changed nothing."""
    by_kind = {ArtifactKind[name.upper()]: found for name, found in references.items()}
    before = sorted(artifacts.root.rglob("*"))
    sweeper = Sweeper(artifacts, by_kind, {"job-live"}, DAY)
    expected = sweeper.dry_run()
    assert sorted(artifacts.root.rglob("*")) == before
    swept = sweeper.sweep()
    assert swept == expected
    return sorted(refuse.place.as_posix() for refuse in swept)


def test_old_ones_that_nobody_names_go(artifacts: ArtifactStore) -> None:
    publish(artifacts, DATASET, "old", 2 * DAY)
    publish(artifacts, DATASET, "old-and-named", 2 * DAY)
    publish(artifacts, ADAPTER, "old-and-named", 2 * DAY)
    publish(artifacts, DATASET, "young", HOUR)
    assert gone(artifacts, dataset={"old-and-named"}) == ["adapters/old-and-named", "datasets/old"]
    assert artifacts.ids(DATASET) == ["old-and-named", "young"]
    assert gone(artifacts, dataset={"old-and-named"}) == []


def test_one_that_is_published_again_meanwhile_stays(artifacts: ArtifactStore) -> None:
    """A scan makes the dataset of long ago again: its record is about to come."""
    publish(artifacts, DATASET, "d1", 2 * DAY)
    sweeper = Sweeper(artifacts, {}, (), DAY)
    assert len(sweeper.dry_run()) == 1
    with artifacts.draft(DATASET, "d1") as draft:
        draft.file("deep/w").write_text("x" * 1000)
        draft.publish()
    assert sweeper.sweep() == []
    assert Sweeper(artifacts, {}, (), DAY).dry_run() == []
    assert artifacts.verify(DATASET, "d1") == []


class PublishedInBetween(ArtifactStore):
    """Somebody publishes it again after the sweep has looked and before it deletes."""

    def delete(
        self, kind: ArtifactKind, artifact_id: str, *, unless_published_after: float | None = None
    ) -> bool:
        with self.draft(kind, artifact_id) as draft:
            draft.file("deep/w").write_text("x" * 1000)
            draft.publish()
        return super().delete(kind, artifact_id, unless_published_after=unless_published_after)


def test_one_that_is_published_again_in_the_last_moment_stays(tmp_path: Path) -> None:
    artifacts = PublishedInBetween(tmp_path)
    publish(artifacts, DATASET, "d1", 2 * DAY)
    assert Sweeper(artifacts, {}, (), DAY).sweep() == []
    assert artifacts.verify(DATASET, "d1") == []


def arriving(artifacts: ArtifactStore, age_seconds: float = 2 * DAY) -> Incoming:
    """Two bytes of a file, which came so long ago."""
    sha256 = hashlib.sha256(b"12345").hexdigest()
    incoming = Incoming(
        artifacts, ADAPTER, "a1", [ManifestFile(path="w", size_bytes=5, sha256=sha256)]
    )
    with incoming.held():
        incoming.write("w", 0, b"12")
    make_old(incoming.folder, age_seconds)
    return incoming


def test_a_transfer_that_goes_on_after_a_day_keeps_its_bytes_and_its_lock(
    artifacts: ArtifactStore,
) -> None:
    incoming = arriving(artifacts)
    with incoming.held():
        make_old(incoming.folder)  # a sender that is slower than the grace time
        assert Sweeper(artifacts, {}, (), DAY).sweep() == []
        with pytest.raises(Unavailable), incoming.held():
            pass
        incoming.write("w", 2, b"345")
        incoming.publish({})
    assert (artifacts.path(ADAPTER, "a1") / "w").read_bytes() == b"12345"


def test_a_transfer_that_was_taken_up_again_is_young(artifacts: ArtifactStore) -> None:
    incoming = arriving(artifacts)
    assert len(Sweeper(artifacts, {}, (), DAY).dry_run()) == 1
    with incoming.held():
        pass
    assert gone(artifacts) == []
    assert incoming.arrived_bytes() == 2


class ResumedInBetween(Sweeper):
    """A receiver comes and goes after the sweep has looked and before it deletes."""

    def _cleared(self, refuse: Refuse) -> bool:
        with arriving(self._store, age_seconds=0).held():
            pass
        return super()._cleared(refuse)


def test_a_transfer_that_is_taken_up_in_the_last_moment_stays(artifacts: ArtifactStore) -> None:
    file = ManifestFile(path="w", size_bytes=5, sha256=hashlib.sha256(b"12345").hexdigest())
    incoming = Incoming(artifacts, ADAPTER, "a1", [file])
    incoming.folder.mkdir(parents=True)
    make_old(incoming.folder)
    sweeper = ResumedInBetween(artifacts, {}, (), DAY)
    assert len(sweeper.dry_run()) == 1
    assert sweeper.sweep() == []
    assert incoming.arrived_bytes() == 2


def test_a_draft_that_somebody_holds_stays_however_old_its_files_are(
    artifacts: ArtifactStore,
) -> None:
    with artifacts.draft(DATASET, "d1") as draft:
        draft.file("deep/w").write_text("x")
        make_old(draft.folder)
        assert len(Sweeper(artifacts, {}, (), DAY).dry_run()) == 1
        assert Sweeper(artifacts, {}, (), DAY).sweep() == []
        manifest = draft.publish()
    assert [file.path for file in manifest.files] == ["deep/w"]
    assert artifacts.verify(DATASET, "d1") == []


def test_a_draft_whose_holder_was_killed_goes(artifacts: ArtifactStore) -> None:
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from services.cluster.artifacts.manifest import ArtifactKind\n"
        "from services.cluster.artifacts.store import ArtifactStore\n"
        "with ArtifactStore(Path(sys.argv[1])).draft(ArtifactKind.DATASET, 'd1') as draft:\n"
        "    draft.file('w').write_text('x')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", script, str(artifacts.root)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    make_old(artifacts.root)
    assert len(gone(artifacts)) == 1
    assert list((artifacts.root / "drafts").iterdir()) == []


def test_one_that_is_received_again_stays(artifacts: ArtifactStore) -> None:
    """Its sender records it next, as if it had come just now."""
    publish(artifacts, DATASET, "d1", 2 * DAY)
    files = artifacts.manifest(DATASET, "d1").files
    assert len(Sweeper(artifacts, {}, (), DAY).dry_run()) == 1
    unsaid = [file.model_copy(update={"size_bytes": 0}) for file in files]
    existing = Incoming(artifacts, DATASET, "d1", unsaid).existing()
    assert existing is not None
    assert existing.files == files
    assert gone(artifacts) == []


def test_what_broken_work_left_goes_when_nobody_writes_to_it(artifacts: ArtifactStore) -> None:
    root = artifacts.root
    for name in ("datasets-d1-old", "datasets-d2-new", "deleted-adapters-a1"):
        (root / "drafts" / name / "deep").mkdir(parents=True)
        (root / "drafts" / name / "deep" / "w").write_text("x" * 10)
    file = ManifestFile(path="w", size_bytes=5, sha256="0" * 64)
    for artifact_id in ("a1", "a2"):
        Incoming(artifacts, ADAPTER, artifact_id, [file]).write("w", 0, b"12")
    publish(artifacts, SOURCE, "half", 0)
    (root / "sources" / "half" / MANIFEST).unlink()
    (root / "runs" / "run-1" / "attempt-1").mkdir(parents=True)  # a run's own files
    for name in ("job-ended", "job-live", "job-new"):
        artifacts.fences.raise_to(name, 1)
    make_old(root)
    (root / "drafts" / "datasets-d2-new" / "deep" / "more").write_text("y")
    Incoming(artifacts, ADAPTER, "a2", [file]).write("w", 2, b"3")
    artifacts.fences.raise_to("job-new", 2)
    digest = Incoming(artifacts, ADAPTER, "a1", [file]).folder.name
    assert gone(artifacts) == [
        "drafts/datasets-d1-old",
        "drafts/deleted-adapters-a1",
        "fences/job-ended",
        f"incoming/{digest}",
        "sources/half",
    ]
    assert (root / "runs" / "run-1" / "attempt-1").is_dir()
    assert {place.name for place in artifacts.fences.places()} == {"job-live", "job-new"}
    with artifacts.fences.held(Fence("job-live", 1)):
        pass


async def test_the_records_keep_what_they_name(store: Store, artifacts: ArtifactStore) -> None:
    jobs = JobQueue(store)
    finished = await jobs.enqueue(JobKind.RUN, {"spec": {"datasetId": "of-a-run"}})
    claimed = await jobs.claim(JobKind.RUN, "here")
    assert claimed is not None
    await jobs.succeed(claimed, {})
    live = await jobs.enqueue(JobKind.EVALUATE, {"request": {"adapterId": "asked-for"}})
    scan = await jobs.enqueue(JobKind.SCAN, {"named": "by-a-scan"})
    await jobs.cancel(scan.job_id)
    source = SourceRecord(
        source_id="s1",
        project_id="p",
        team_id="t",
        kind=SourceKind.FILE,
        name="n",
        artifact_id="s1-bytes",
        file_name="f",
        size_bytes=1,
        sha256="",
        created_at=0,
        fetched_at=0,
    )
    adapter = AdapterRecord(adapter_id="published", model="m", name="n", rank=8, created_at=0)
    await store.redis.hset(Keys.SOURCES, "s1", source.model_dump_json())
    await store.redis.hset(Keys.DATASETS, "in-force", "{}")
    await store.redis.hset(Keys.ADAPTERS, "published", adapter.model_dump_json())
    await store.redis.hset(Keys.REPLICAS, "r1", '{"loaded_adapter_ids": ["loaded"]}')
    await store.redis.set(Keys.RUN_STATE.format("run-with-a-state"), "{}")
    for kind, artifact_id, run in (
        (SOURCE, "s1-bytes", ""),
        (SOURCE, "s1-replaced", ""),
        (DATASET, "in-force", ""),
        (DATASET, "of-a-run", ""),
        (DATASET, "by-a-scan", ""),
        (ADAPTER, "published", ""),
        (ADAPTER, "loaded", ""),
        (ADAPTER, "asked-for", ""),
        (ADAPTER, "candidate", live.job_id),
        (ADAPTER, "not-published", finished.job_id),
        (CHECKPOINT, "c1", finished.job_id),
        (CHECKPOINT, "c2", "run-with-a-state"),
        (CHECKPOINT, "c3", "run-of-nobody"),
    ):
        publish(artifacts, kind, artifact_id, 2 * DAY, run)
    swept = await collect(store, artifacts, delete=True)
    assert {refuse.place.as_posix() for refuse in swept} == {
        "sources/s1-replaced",
        "datasets/by-a-scan",
        "adapters/not-published",
        "runs/c3",
    }
    assert await collect(store, artifacts, delete=True) == []


async def test_another_redis_deletes_nothing(store: Store, artifacts: ArtifactStore) -> None:
    publish(artifacts, DATASET, "d1", 2 * DAY)
    assert len(await collect(store, artifacts, delete=False)) == 1
    with pytest.raises(Conflict, match="another Redis"):
        await collect(store, artifacts, delete=True)
    assert artifacts.ids(DATASET) == ["d1"]


async def test_a_record_that_cannot_be_read_deletes_nothing(
    store: Store, artifacts: ArtifactStore
) -> None:
    publish(artifacts, SOURCE, "s1", 2 * DAY)
    await store.redis.hset(Keys.SOURCES, "s1", "no json")
    with pytest.raises(Conflict, match="cannot be read .* Nothing was deleted"):
        await collect(store, artifacts, delete=True)
    assert artifacts.ids(SOURCE) == ["s1"]


async def test_the_command_says_what_goes_and_deletes_only_when_told(
    store: Store, artifacts: ArtifactStore, redis_url: str
) -> None:
    await store.redis.hset(Keys.DATASETS, "in-force", "{}")
    publish(artifacts, DATASET, "d1", 2 * DAY)

    places = {"HEARTH_REDIS_URL": redis_url, "HEARTH_DATA_DIR": str(artifacts.root)}

    def command(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "services.cluster.artifacts.collect", *words],
            cwd=ROOT,
            env={**os.environ, **places},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    said = command()
    assert re.search(r"1000 bytes +48\.0 h  datasets/d1: no record names it\n", said)
    assert "1 would be deleted, 1000 bytes freed. Nothing was: add --delete." in said
    assert "0 would be deleted" in command("--grace-hours", "49")
    assert artifacts.ids(DATASET) == ["d1"]
    assert "1 deleted, 1000 bytes freed." in command("--delete")
    with pytest.raises(NotFound):
        artifacts.path(DATASET, "d1")
    assert table([], delete=True) == "0 deleted, 0 bytes freed."


@pytest.mark.parametrize("hours", ["0.5", "-1", "nan", "x"])
def test_a_grace_below_an_hour_is_refused(hours: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--grace-hours", hours])
    assert "--grace-hours" in capsys.readouterr().err
