"""What an artifact is made of."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from services.cluster.errors import BadRequest, Conflict
from services.cluster.records import Record

MANIFEST = "manifest.json"
_OWN_NAMES = frozenset({MANIFEST, f".{MANIFEST}.tmp"})
_MAX_NAME_BYTES = 255  # of most file systems
_MAX_PATH_CHARS = 1024
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


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
    """`digest` is the SHA-256 of the manifest without it, "" in those of before there was one."""

    kind: ArtifactKind
    artifact_id: str
    project_id: str = ""
    team_id: str = ""
    files: tuple[ManifestFile, ...]
    labels: Mapping[str, str] = {}
    created_at: float
    digest: str = ""

    @property
    def record_id(self) -> str:
        return self.artifact_id

    @property
    def size_bytes(self) -> int:
        """Of all files, without the manifest itself."""
        return sum(file.size_bytes for file in self.files)

    def sealed(self) -> Manifest:
        """With its digest."""
        return self.model_copy(update={"digest": _digest(self.model_dump(mode="json"))})

    @classmethod
    def read(cls, text: bytes, name: str) -> Manifest:
        """Raises Conflict, with the artifact's name, when it is not as it was written."""
        try:
            manifest, fields = cls.model_validate_json(text), json.loads(text)
        except ValueError:
            raise _damaged(name) from None
        # Those of before there was a digest have no field that is unknown here.
        old = not manifest.digest and fields.keys() <= cls.model_fields.keys()
        if not old and manifest.digest != _digest(fields):
            raise _damaged(name)
        return manifest


def _damaged(name: str) -> Conflict:
    return Conflict(f"The manifest of {name} was damaged; restore the artifact, or delete it.")


def _digest(fields: dict[str, Any]) -> str:
    kept = {name: value for name, value in fields.items() if name != "digest"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def is_id(artifact_id: str) -> bool:
    """An id becomes the name of a folder."""
    return _ID.fullmatch(artifact_id) is not None


def check_id(artifact_id: str) -> None:
    """Raises BadRequest for an id that is none."""
    if not is_id(artifact_id):
        raise BadRequest(
            f"{artifact_id!r} is no artifact id: 1 to 128 letters, digits, dots, dashes and"
            " underscores, beginning with a letter or digit."
        )


def safe_path(relative: str) -> PurePosixPath:
    """A relative path that stays below its folder. Raises BadRequest."""
    path = PurePosixPath(relative)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in relative:
        raise BadRequest(f"{relative!r} is no file name inside an artifact.")
    try:
        longest = max(len(part.encode()) for part in path.parts)
    except UnicodeEncodeError:
        raise BadRequest(f"The file name {relative!r} is not UTF-8; rename the file.") from None
    if longest > _MAX_NAME_BYTES or len(relative) > _MAX_PATH_CHARS:
        raise BadRequest(f"The file name {relative[:64]!r}... is too long for an artifact.")
    if path.parts[0] in _OWN_NAMES:
        raise BadRequest(f"{MANIFEST} is written by the store itself.")
    return path
