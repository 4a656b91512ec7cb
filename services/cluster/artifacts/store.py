"""The artifact store: write-once folders, each whole only when its manifest is there.

    ROOT/KIND/ID/...            the files
    ROOT/KIND/ID/manifest.json  written last: sizes and SHA-256 of every file
    ROOT/drafts/...             folders being written; never read by anyone else

A draft becomes an artifact by one rename after everything in it, the manifest last, is on disk.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from services.cluster.artifacts.manifest import (
    MANIFEST,
    ArtifactKind,
    Manifest,
    ManifestFile,
    safe_path,
)
from services.cluster.errors import BadRequest, Conflict, NotFound

_DRAFTS = "drafts"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_READ_BYTES = 1024 * 1024


class Draft:
    """A folder to write into. Nothing of it is seen before `publish`."""

    def __init__(self, store: ArtifactStore, kind: ArtifactKind, artifact_id: str) -> None:
        self._store = store
        self._kind = kind
        self._artifact_id = artifact_id
        self.folder = store.root / _DRAFTS / f"{kind.value}-{artifact_id}-{uuid.uuid4().hex}"
        self.folder.mkdir(parents=True)

    def file(self, relative: str) -> Path:
        """A path inside the draft, its folder made. Raises BadRequest for one that leads out."""
        place = self.folder / safe_path(relative)
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def publish(
        self,
        labels: Mapping[str, str] | None = None,
        *,
        project_id: str = "",
        team_id: str = "",
        guard: Callable[[], None] | None = None,
    ) -> Manifest:
        """Makes the artifact. `guard` raises when the writer has lost its lease meanwhile.

        Raises Conflict when the artifact exists with other files; the same files change nothing.
        """
        manifest = Manifest(
            kind=self._kind,
            artifact_id=self._artifact_id,
            project_id=project_id,
            team_id=team_id,
            files=tuple(_describe(self.folder)),
            labels=dict(labels or {}),
            created_at=time.time(),
        )
        for place in _files(self.folder):
            _fsync(place)
        _write_durably(self.folder / MANIFEST, manifest.model_dump_json(indent=1))
        if guard:
            guard()
        final = self._store.place(self._kind, self._artifact_id)
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.folder.rename(final)
        except OSError:
            existing = self._store.manifest(self._kind, self._artifact_id)
            if existing.files != manifest.files:
                raise Conflict(
                    f"{self._kind.value}/{self._artifact_id} exists with other content;"
                    " artifacts are never changed."
                ) from None
            return existing
        _fsync(final.parent)
        return manifest

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class ArtifactStore:
    """Artifacts below one folder, usually the data volume."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def place(self, kind: ArtifactKind, artifact_id: str) -> Path:
        """Where the artifact lies or would lie. Raises BadRequest for an id that is none."""
        if not _ID.fullmatch(artifact_id):
            raise BadRequest(
                f"{artifact_id!r} is no artifact id: 1 to 128 letters, digits, dots, dashes and"
                " underscores, beginning with a letter or digit."
            )
        return self.root / kind.value / artifact_id

    def path(self, kind: ArtifactKind, artifact_id: str) -> Path:
        """The folder of a whole artifact. Raises NotFound."""
        folder = self.place(kind, artifact_id)
        if not (folder / MANIFEST).is_file():
            raise NotFound(f"There is no artifact {kind.value}/{artifact_id}.")
        return folder

    def manifest(self, kind: ArtifactKind, artifact_id: str) -> Manifest:
        text = (self.path(kind, artifact_id) / MANIFEST).read_text()
        return Manifest.model_validate_json(text)

    @contextmanager
    def draft(self, kind: ArtifactKind, artifact_id: str) -> Iterator[Draft]:
        """A draft that disappears unless it is published inside the block."""
        self.place(kind, artifact_id)
        draft = Draft(self, kind, artifact_id)
        try:
            yield draft
        finally:
            draft.discard()

    def manifests(self, kind: ArtifactKind) -> list[Manifest]:
        """Whole artifacts, oldest first."""
        places = sorted((self.root / kind.value).glob(f"*/{MANIFEST}"))
        manifests = [Manifest.model_validate_json(place.read_text()) for place in places]
        return sorted(manifests, key=lambda manifest: (manifest.created_at, manifest.artifact_id))

    def verify(self, kind: ArtifactKind, artifact_id: str) -> list[str]:
        """Paths whose size or hash is not the manifest's, or that are missing."""
        folder = self.path(kind, artifact_id)
        found = {file.path: file for file in _describe(folder)}
        return [
            file.path
            for file in self.manifest(kind, artifact_id).files
            if found.get(file.path) != file
        ]

    def delete(self, kind: ArtifactKind, artifact_id: str) -> None:
        """The manifest goes first, so that a half-deleted artifact is none."""
        folder = self.path(kind, artifact_id)
        (folder / MANIFEST).unlink()
        _fsync(folder)
        shutil.rmtree(folder)


def sha256_of(place: Path) -> str:
    sha256 = hashlib.sha256()
    with place.open("rb") as file:
        while block := file.read(_READ_BYTES):
            sha256.update(block)
    return sha256.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for place in sorted(folder.rglob("*")):
        if place.is_file() and place != folder / MANIFEST:
            yield place


def _describe(folder: Path) -> Iterator[ManifestFile]:
    for place in _files(folder):
        yield ManifestFile(
            path=place.relative_to(folder).as_posix(),
            size_bytes=place.stat().st_size,
            sha256=sha256_of(place),
        )


def _fsync(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_durably(place: Path, text: str) -> None:
    temporary = place.with_name(place.name + ".tmp")
    temporary.write_text(text)
    _fsync(temporary)
    temporary.rename(place)
    _fsync(place.parent)
