"""What an artifact is made of."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePosixPath

from services.cluster.errors import BadRequest
from services.cluster.records import Record

MANIFEST = "manifest.json"


class ArtifactKind(StrEnum):
    """The value is the folder's name under the data volume."""

    SOURCE = "sources"
    DATASET = "datasets"
    CHECKPOINT = "runs"
    ADAPTER = "adapters"


class ManifestFile(Record):
    """`path` is relative, with "/"."""

    path: str
    size_bytes: int
    sha256: str


class Manifest(Record):
    kind: ArtifactKind
    artifact_id: str
    project_id: str = ""
    team_id: str = ""
    files: tuple[ManifestFile, ...]
    labels: Mapping[str, str] = {}
    created_at: float

    @property
    def record_id(self) -> str:
        return self.artifact_id


def safe_path(relative: str) -> PurePosixPath:
    """A relative path that stays below its folder. Raises BadRequest."""
    path = PurePosixPath(relative)
    if not relative or path.is_absolute() or ".." in path.parts or "\0" in relative:
        raise BadRequest(f"{relative!r} is no file name inside an artifact.")
    if path.parts == (MANIFEST,):
        raise BadRequest(f"{MANIFEST} is written by the store itself.")
    return path
