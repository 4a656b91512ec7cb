"""The artifact store: write-once folders, each whole only when its manifest is there.

    ROOT/KIND/ID/...            the files
    ROOT/KIND/ID/manifest.json  written last: sizes and SHA-256 of every file
    ROOT/drafts/...             folders being written or deleted; never read by anyone else

A draft becomes an artifact by one rename after everything in it is on disk: files, then folders,
then the manifest. An artifact goes by one rename as well. So there is never half of one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

from services.cluster import durable_files
from services.cluster.artifacts.disk_space import telling_full_disk
from services.cluster.artifacts.fences import Fence, Fences
from services.cluster.artifacts.locks import WAIT_SECONDS, locked
from services.cluster.artifacts.manifest import (
    MANIFEST,
    ArtifactKind,
    Manifest,
    ManifestFile,
    check_id,
    is_id,
    safe_path,
)
from services.cluster.errors import BadRequest, Conflict, NotFound
from services.cluster.records import readable

DRAFTS = "drafts"


class Draft:
    """A folder to write into, on the store's volume. Nothing of it is seen before `publish`."""

    def __init__(
        self, store: ArtifactStore, kind: ArtifactKind, artifact_id: str, folder: Path
    ) -> None:
        self._store = store
        self._kind = kind
        self._artifact_id = artifact_id
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)

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
        fence: Fence | None = None,
    ) -> Manifest:
        """Makes the artifact; when this returns, no power cut takes it back.

        `guard` raises when the writer has lost its lease meanwhile. With `fence` the artifact
        appears only while no newer attempt has raised it: LeaseLost, and nothing is published.

        Raises Conflict when the artifact exists with other files; with the same ones that
        artifact's manifest is the answer. Raises OutOfDisk, and Unavailable for a fence that a
        stopped process holds.
        """
        with telling_full_disk(self.folder):
            manifest = Manifest(
                kind=self._kind,
                artifact_id=self._artifact_id,
                project_id=project_id,
                team_id=team_id,
                files=describe(self.folder),
                labels=dict(labels or {}),
                created_at=time.time(),
            ).sealed()
            durable_files.sync_tree(self.folder)
            durable_files.write(self.folder / MANIFEST, manifest.model_dump_json(indent=1))
            if guard:
                guard()
            with self._store.fences.held(fence) if fence else nullcontext():
                return self._store.take(self.folder, manifest)

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class ArtifactStore:
    """Artifacts below one folder, usually the data volume.

    `wait_seconds` is the longest wait for a process that was stopped while it held a lock.
    """

    def __init__(self, root: Path, wait_seconds: float = WAIT_SECONDS) -> None:
        self.root = root
        self.fences = Fences(root, wait_seconds)
        self._wait_seconds = wait_seconds

    def place(self, kind: ArtifactKind, artifact_id: str) -> Path:
        """Where the artifact lies or would lie. Raises BadRequest for an id that is none."""
        check_id(artifact_id)
        return self.root / kind.value / artifact_id

    def path(self, kind: ArtifactKind, artifact_id: str) -> Path:
        """The folder of a whole artifact. Raises NotFound."""
        folder = self.place(kind, artifact_id)
        if not (folder / MANIFEST).is_file():
            raise _no_artifact(kind, artifact_id)
        return folder

    def manifest(self, kind: ArtifactKind, artifact_id: str) -> Manifest:
        """Raises NotFound, and Conflict when the manifest itself was damaged."""
        try:
            text = (self.place(kind, artifact_id) / MANIFEST).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise _no_artifact(kind, artifact_id) from None
        return Manifest.read(text, f"{kind.value}/{artifact_id}")

    def published_at(self, kind: ArtifactKind, artifact_id: str) -> float:
        """When it was last published, with the same files perhaps. Raises NotFound."""
        return (self.path(kind, artifact_id) / MANIFEST).stat().st_mtime

    @contextmanager
    def draft(self, kind: ArtifactKind, artifact_id: str) -> Iterator[Draft]:
        """A draft that disappears unless it is published inside the block, which keeps it locked.

        A volume that is full, in the block too, is OutOfDisk.
        """
        check_id(artifact_id)
        folder = self.root / DRAFTS / f"{kind.value}-{artifact_id}-{uuid.uuid4().hex}"
        with telling_full_disk(folder):
            draft = Draft(self, kind, artifact_id, folder)
            with locked(folder, self._wait_seconds):
                try:
                    yield draft
                finally:
                    draft.discard()

    def take(self, folder: Path, manifest: Manifest) -> Manifest:
        """Makes a folder that is whole and on disk the artifact; for `Draft.publish`."""
        final = self.place(manifest.kind, manifest.artifact_id)
        durable_files.make_folder(final.parent)
        while not _moved(folder, final):
            existing = self.adopt(manifest.kind, manifest.artifact_id, manifest.files)
            if existing is not None:
                return existing
            self._clear(manifest.kind, final)
        durable_files.sync(final.parent)
        return manifest

    def adopt(
        self, kind: ArtifactKind, artifact_id: str, files: Iterable[ManifestFile]
    ) -> Manifest | None:
        """The artifact that is there, published anew for the garbage collection; None without.

        Raises Conflict when it has other files, and Unavailable while a stopped process deletes it.
        """
        final = self.place(kind, artifact_id)
        try:
            # Only a deletion is kept out: whoever reads it for long has a shared lock as well.
            with locked(final / MANIFEST, self._wait_seconds, shared=True):
                existing = self.manifest(kind, artifact_id)
                if _hashes(existing.files) != _hashes(files):
                    raise Conflict(
                        f"{kind.value}/{artifact_id} exists with other content; artifacts are"
                        " never changed."
                    )
                now = time.time_ns()
                os.utime(final / MANIFEST, ns=(now, now))
                durable_files.sync(final.parent)  # whoever moved it may not have come to it
        except (FileNotFoundError, NotADirectoryError, NotFound):
            return None
        return existing

    def ids(self, kind: ArtifactKind) -> list[str]:
        """Of the whole artifacts, in the order of the ids."""
        names = [p.parent.name for p in (self.root / kind.value).glob(f"*/{MANIFEST}")]
        return sorted(name for name in names if is_id(name))

    def manifests(self, kind: ArtifactKind, ids: Iterable[str] | None = None) -> list[Manifest]:
        """Whole artifacts, oldest first; those of `ids` in their order when it is given.

        A damaged manifest is logged and left out, one that was deleted meanwhile is left out.
        """
        texts = []
        for artifact_id in self.ids(kind) if ids is None else ids:
            with contextlib.suppress(FileNotFoundError):
                texts.append((self.place(kind, artifact_id) / MANIFEST).read_bytes())
        found = readable(Manifest, texts)
        return sorted(found, key=lambda m: (m.created_at, m.artifact_id)) if ids is None else found

    def verify(self, kind: ArtifactKind, artifact_id: str) -> list[str]:
        """Paths whose size or hash is not the manifest's, or that are missing.

        Raises NotFound, and Conflict when the manifest itself was damaged.
        """
        folder = self.path(kind, artifact_id)
        return [
            file.path
            for file in self.manifest(kind, artifact_id).files
            if not matches(folder / file.path, file)
        ]

    def delete(
        self, kind: ArtifactKind, artifact_id: str, *, unless_published_after: float | None = None
    ) -> bool:
        """It is gone at once, its bytes soon after. Raises NotFound.

        False, and nothing was done, when it was published after the time that is given.
        """
        folder = self.path(kind, artifact_id)
        try:
            with locked(folder / MANIFEST, self._wait_seconds):
                published_at = (folder / MANIFEST).stat().st_mtime
                if unless_published_after is not None and published_at > unless_published_after:
                    return False
                trash = self._to_drafts(kind, folder)
        except FileNotFoundError:
            raise _no_artifact(kind, artifact_id) from None
        shutil.rmtree(trash, ignore_errors=True)  # what is left of it is swept
        return True

    def _clear(self, kind: ArtifactKind, final: Path) -> None:
        """Takes away what is left of an artifact that somebody deleted by hand, and in half."""
        if kind is ArtifactKind.CHECKPOINT and final.exists():
            raise Conflict(f"{final} is there and no artifact; it may hold the files of a run.")
        try:
            trash = self._to_drafts(kind, final)
        except FileNotFoundError:
            return
        shutil.rmtree(trash, ignore_errors=True)

    def _to_drafts(self, kind: ArtifactKind, folder: Path) -> Path:
        durable_files.make_folder(self.root / DRAFTS)
        trash = self.root / DRAFTS / f"deleted-{kind.value}-{folder.name}-{uuid.uuid4().hex}"
        folder.rename(trash)
        durable_files.sync(folder.parent)
        return trash


def matches(place: Path, file: ManifestFile) -> bool:
    """Whether the file there is the one that the manifest describes."""
    return (
        place.is_file()
        and not place.is_symlink()
        and place.stat().st_size == file.size_bytes
        and durable_files.sha256_of(place) == file.sha256
    )


def _hashes(files: Iterable[ManifestFile]) -> dict[str, str]:
    """Files with the same SHA-256 have the same size, which a sender need not say."""
    return {file.path: file.sha256 for file in files}


def _moved(folder: Path, final: Path) -> bool:
    """False when something is there already."""
    try:
        folder.rename(final)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        return False
    return True


def describe(folder: Path) -> tuple[ManifestFile, ...]:
    """What a folder holds. Raises BadRequest for what no artifact may: links, strange names."""
    found = []
    for place in durable_files.files_below(folder):
        if place == folder / MANIFEST:
            continue
        if place.is_symlink():
            raise BadRequest(f"{place} is a link; an artifact holds its files itself.")
        found.append(
            ManifestFile(
                path=safe_path(place.relative_to(folder).as_posix()).as_posix(),
                size_bytes=place.stat().st_size,
                sha256=durable_files.sha256_of(place),
            )
        )
    return tuple(found)


def _no_artifact(kind: ArtifactKind, artifact_id: str) -> NotFound:
    return NotFound(f"There is no artifact {kind.value}/{artifact_id}.")
