from __future__ import annotations

from pathlib import Path

import pytest

from services.cluster.artifacts.manifest import MANIFEST, Manifest
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import Conflict
from tests.contracts.artifacts import ADAPTER, FILES, ArtifactContract


class TestArtifactStore(ArtifactContract):
    """Folders of a data volume."""

    def make(self, folder: Path) -> ArtifactStore:
        return ArtifactStore(folder)

    def damage(
        self, store: ArtifactStore, artifact_id: str, path: str, content: bytes | None
    ) -> None:
        place = store.path(ADAPTER, artifact_id) / path
        if content is None:
            place.unlink()
        else:
            place.write_bytes(content)

    def test_no_flipped_bit_of_a_manifest_goes_unseen(self, artifacts: ArtifactStore) -> None:
        """An answer, if there is one, is what was written: white space may differ."""
        written = self.publish(artifacts, "a1", {"w": b"1"})
        text = (artifacts.path(ADAPTER, "a1") / MANIFEST).read_bytes()
        num_seen = 0
        for at in range(8 * len(text)):
            flipped = bytearray(text)
            flipped[at // 8] ^= 1 << at % 8
            try:
                assert Manifest.read(bytes(flipped), "a1") == written
            except Conflict:
                num_seen += 1
        assert num_seen > 0.9 * 8 * len(text)

    def test_a_manifest_of_before_there_was_a_digest_is_read(
        self, artifacts: ArtifactStore
    ) -> None:
        written = self.publish(artifacts, "a1", FILES)
        place = artifacts.path(ADAPTER, "a1") / MANIFEST
        place.write_text(written.model_dump_json(exclude={"digest"}))
        assert artifacts.manifest(ADAPTER, "a1").files == written.files
        place.write_text(written.model_dump_json().replace('"p"', '"q"'))
        with pytest.raises(Conflict, match="damaged"):
            artifacts.manifest(ADAPTER, "a1")
