"""What every store of artifacts promises. A new backend is one subclass of `ArtifactContract`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.cluster.artifacts.fences import Fence
from services.cluster.artifacts.manifest import ArtifactKind, Manifest
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import BadRequest, Conflict, LeaseLost, NotFound

ADAPTER, DATASET = ArtifactKind.ADAPTER, ArtifactKind.DATASET
FILES = {"deep/er/weights.bin": b"\x00\x01" * 3000, "config.json": b"{}", "empty": b""}

names = st.from_regex(r"[A-Za-z0-9_. -]{0,8}[A-Za-z0-9_-]", fullmatch=True)
contents = st.dictionaries(names, st.binary(max_size=300), min_size=1, max_size=4)


class ArtifactContract(ABC):
    @abstractmethod
    def make(self, folder: Path) -> ArtifactStore:
        """An empty store that may keep its things in the folder."""

    @abstractmethod
    def damage(
        self, store: ArtifactStore, artifact_id: str, path: str, content: bytes | None
    ) -> None:
        """Changes the bytes of an adapter's file behind the store's back; None: takes it away."""

    @pytest.fixture
    def artifacts(self, tmp_path: Path) -> ArtifactStore:
        return self.make(tmp_path)

    def publish(
        self,
        store: ArtifactStore,
        artifact_id: str,
        files: Mapping[str, bytes],
        kind: ArtifactKind = ADAPTER,
        fence: Fence | None = None,
    ) -> Manifest:
        with store.draft(kind, artifact_id) as draft:
            for path, content in files.items():
                draft.file(path).write_bytes(content)
            return draft.publish({"model": "m"}, project_id="p", team_id="t", fence=fence)

    def read(self, store: ArtifactStore, artifact_id: str) -> dict[str, bytes]:
        folder = store.path(ADAPTER, artifact_id)
        manifest = store.manifest(ADAPTER, artifact_id)
        return {file.path: (folder / file.path).read_bytes() for file in manifest.files}

    def test_what_was_published_is_read_again(self, artifacts: ArtifactStore) -> None:
        published = self.publish(artifacts, "a1", FILES)
        assert artifacts.manifest(ADAPTER, "a1") == published
        assert (published.labels, published.project_id, published.team_id) == (
            {"model": "m"},
            "p",
            "t",
        )
        assert self.read(artifacts, "a1") == FILES
        assert artifacts.verify(ADAPTER, "a1") == []

    def test_kinds_are_apart_and_listed_in_order(self, artifacts: ArtifactStore) -> None:
        for artifact_id in ("b", "a"):
            self.publish(artifacts, artifact_id, FILES)
        self.publish(artifacts, "a", {"x": b"1"}, DATASET)
        assert [m.artifact_id for m in artifacts.manifests(ADAPTER)] == ["b", "a"]
        assert artifacts.ids(ADAPTER) == ["a", "b"]
        assert artifacts.ids(DATASET) == ["a"]
        assert artifacts.manifests(ArtifactKind.SOURCE) == []

    def test_an_artifact_is_written_once(self, artifacts: ArtifactStore) -> None:
        first = self.publish(artifacts, "a1", FILES)
        assert self.publish(artifacts, "a1", FILES) == first
        with pytest.raises(Conflict, match="never changed"):
            self.publish(artifacts, "a1", {**FILES, "more": b"1"})
        assert self.read(artifacts, "a1") == FILES

    def test_what_was_deleted_is_gone_and_may_be_published_anew(
        self, artifacts: ArtifactStore
    ) -> None:
        self.publish(artifacts, "a1", FILES)
        assert artifacts.delete(ADAPTER, "a1")
        for look in (artifacts.manifest, artifacts.path, artifacts.verify, artifacts.delete):
            with pytest.raises(NotFound):
                look(ADAPTER, "a1")
        self.publish(artifacts, "a1", {"other": b"2"})
        assert self.read(artifacts, "a1") == {"other": b"2"}

    def test_a_younger_publication_saves_an_artifact(self, artifacts: ArtifactStore) -> None:
        self.publish(artifacts, "a1", FILES)
        seen = artifacts.published_at(ADAPTER, "a1")
        self.publish(artifacts, "a1", FILES)
        assert artifacts.published_at(ADAPTER, "a1") > seen
        assert not artifacts.delete(ADAPTER, "a1", unless_published_after=seen)
        assert artifacts.verify(ADAPTER, "a1") == []

    def test_a_fence_lets_only_its_newest_holder_publish(self, artifacts: ArtifactStore) -> None:
        artifacts.fences.raise_to("job", 3)
        artifacts.fences.raise_to("job", 5)
        with pytest.raises(LeaseLost):
            self.publish(artifacts, "a1", FILES, fence=Fence("job", 3))
        assert artifacts.manifests(ADAPTER) == []
        self.publish(artifacts, "a1", FILES, fence=Fence("job", 5))
        assert artifacts.ids(ADAPTER) == ["a1"]

    @pytest.mark.parametrize("artifact_id", ["", "..", "a/b", ".hidden", "x" * 200, "a\n"])
    def test_an_id_that_is_none_is_refused(
        self, artifacts: ArtifactStore, artifact_id: str
    ) -> None:
        with pytest.raises(BadRequest):
            self.publish(artifacts, artifact_id, FILES)

    @pytest.mark.parametrize(
        "path", ["../x", "/x", "a/../../x", "", ".", "a\0", "manifest.json", "x" * 256, "\udcff"]
    )
    def test_a_path_that_leads_out_is_refused(self, artifacts: ArtifactStore, path: str) -> None:
        with pytest.raises(BadRequest):
            self.publish(artifacts, "a1", {path: b""})
        assert artifacts.manifests(ADAPTER) == []

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(files=contents, data=st.data())
    def test_any_damage_is_found(
        self, tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], data: st.DataObject
    ) -> None:
        store = self.make(tmp_path_factory.mktemp("damage"))
        self.publish(store, "a1", files)
        assert store.verify(ADAPTER, "a1") == []
        path = data.draw(st.sampled_from(sorted(files)))
        content = files[path]
        ways = ["gone", "longer", *(["shorter", "flipped"] if content else [])]
        match data.draw(st.sampled_from(ways)):
            case "gone":
                self.damage(store, "a1", path, None)
            case "longer":
                self.damage(store, "a1", path, content + b"\0")
            case "shorter":
                length = data.draw(st.integers(0, len(content) - 1))
                self.damage(store, "a1", path, content[:length])
            case _:
                at = data.draw(st.integers(0, len(content) - 1))
                bit = 1 << data.draw(st.integers(0, 7))
                flipped = bytes([content[at] ^ bit])
                self.damage(store, "a1", path, content[:at] + flipped + content[at + 1 :])
        assert store.verify(ADAPTER, "a1") == [path]
