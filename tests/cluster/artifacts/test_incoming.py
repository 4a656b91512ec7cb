from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.cluster.artifacts.incoming import Incoming
from services.cluster.artifacts.locks import locked
from services.cluster.artifacts.manifest import MANIFEST, ArtifactKind, ManifestFile
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import BadRequest
from tests.cluster.artifacts.waiting import wait_for_opened

ADAPTER = ArtifactKind.ADAPTER
CONTENTS = {"deep/w": b"w" * 5, "x": b"x"}


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "data")


@pytest.fixture
def incoming(artifacts: ArtifactStore) -> Incoming:
    files = [
        ManifestFile(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in CONTENTS.items()
    ]
    return Incoming(artifacts, ADAPTER, "a1", files)


@pytest.mark.parametrize("change", ["damaged", "gone"])
def test_files_that_change_after_they_came_are_sent_anew(
    artifacts: ArtifactStore, incoming: Incoming, tmp_path: Path, change: str
) -> None:
    deep = incoming.folder / "files" / "deep"
    with incoming.held():
        for path, data in CONTENTS.items():
            incoming.write(path, 0, data)
        if change == "damaged":
            (deep / "w").write_bytes(b"v" * 5)
        else:
            deep.rename(tmp_path / "elsewhere")
            deep.symlink_to(tmp_path / "elsewhere")  # its file seems to be here, and is not
        with pytest.raises(BadRequest, match="deep/w is no longer whole"):
            incoming.publish({})
        assert artifacts.manifests(ADAPTER) == []
        assert [file.path for file in incoming.arrived()] == ["x"]
        incoming.write("deep/w", 0, CONTENTS["deep/w"])
        incoming.publish({})
    assert [file.path for file in artifacts.manifest(ADAPTER, "a1").files] == list(CONTENTS)
    assert artifacts.verify(ADAPTER, "a1") == []


def test_one_that_goes_while_it_is_looked_at_is_absent(
    artifacts: ArtifactStore, incoming: Incoming
) -> None:
    with incoming.held():
        for path, data in CONTENTS.items():
            incoming.write(path, 0, data)
        published = incoming.publish({})
    assert incoming.existing() == published
    folder = artifacts.path(ADAPTER, "a1")
    with ThreadPoolExecutor() as pool:
        with locked(folder / MANIFEST):
            looking = pool.submit(incoming.existing)
            wait_for_opened(folder / MANIFEST, 2)
            folder.rename(artifacts.root / "gone")
        assert looking.result(30) is None
