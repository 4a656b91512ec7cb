from __future__ import annotations

from pathlib import Path

import pytest

from services.cluster.artifacts.manifest import MANIFEST, ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import BadRequest, Conflict, LeaseLost, NotFound

ADAPTER = ArtifactKind.ADAPTER


def publish(store: ArtifactStore, artifact_id: str, text: str) -> None:
    with store.draft(ADAPTER, artifact_id) as draft:
        draft.file("weights/a.txt").write_text(text)
        draft.publish({"model": "m"})


def test_a_published_artifact_is_whole_and_verified(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    publish(store, "a1", "hello")
    manifest = store.manifest(ADAPTER, "a1")
    assert [(file.path, file.size_bytes) for file in manifest.files] == [("weights/a.txt", 5)]
    assert manifest.labels == {"model": "m"}
    assert store.verify(ADAPTER, "a1") == []
    assert [m.artifact_id for m in store.manifests(ADAPTER)] == ["a1"]
    (store.path(ADAPTER, "a1") / "weights" / "a.txt").write_text("hullo")
    assert store.verify(ADAPTER, "a1") == ["weights/a.txt"]


def test_a_draft_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)

    def write_half() -> None:
        with store.draft(ADAPTER, "a1") as draft:
            draft.file("a").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert list((tmp_path / "drafts").iterdir()) == []
    with pytest.raises(NotFound):
        store.path(ADAPTER, "a1")


def test_a_writer_that_lost_its_lease_publishes_nothing(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)

    def lost() -> None:
        raise LeaseLost("gone")

    with store.draft(ADAPTER, "a1") as draft:
        draft.file("a").write_text("x")
        with pytest.raises(LeaseLost):
            draft.publish(guard=lost)
    assert store.manifests(ADAPTER) == []


def test_an_artifact_is_written_once(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    publish(store, "a1", "one")
    publish(store, "a1", "one")
    with pytest.raises(Conflict, match="never changed"):
        publish(store, "a1", "two")
    assert (store.path(ADAPTER, "a1") / "weights" / "a.txt").read_text() == "one"


def test_a_folder_without_manifest_is_no_artifact(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    publish(store, "a1", "one")
    (store.place(ADAPTER, "a1") / MANIFEST).unlink()
    assert store.manifests(ADAPTER) == []
    publish(store, "a2", "two")
    store.delete(ADAPTER, "a2")
    with pytest.raises(NotFound):
        store.manifest(ADAPTER, "a2")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", "a\0b", MANIFEST])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    store = ArtifactStore(tmp_path)
    with pytest.raises(BadRequest), store.draft(ADAPTER, "a1") as draft:
        draft.file(name)


@pytest.mark.parametrize("artifact_id", ["", "..", "a/b", ".hidden", "x" * 200])
def test_an_id_that_is_none_is_refused(tmp_path: Path, artifact_id: str) -> None:
    with pytest.raises(BadRequest):
        ArtifactStore(tmp_path).place(ADAPTER, artifact_id)
