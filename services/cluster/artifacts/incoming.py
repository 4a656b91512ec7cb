"""An artifact on its way here: what arrived of it is kept until the rest has come.

    ROOT/incoming/KIND-ID-DIGEST/         locked by who receives it
    ROOT/incoming/KIND-ID-DIGEST/parts/   files of which bytes are missing
    ROOT/incoming/KIND-ID-DIGEST/files/   whole ones; this folder becomes the artifact

DIGEST is of the files' paths and hashes: those who send something else under the same id have a
folder of their own.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from services.cluster import durable_files
from services.cluster.artifacts.disk_space import telling_full_disk
from services.cluster.artifacts.locks import locked
from services.cluster.artifacts.manifest import (
    MANIFEST,
    ArtifactKind,
    Manifest,
    ManifestFile,
    check_id,
    safe_path,
)
from services.cluster.artifacts.store import ArtifactStore, Draft
from services.cluster.errors import BadRequest, Conflict, Unavailable

INCOMING = "incoming"
MAX_CHUNK_BYTES = 1024 * 1024
_DIGEST_DIGITS = 16
_MAX_FILES = 100_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RETRY_SECONDS = 1.0


class Incoming:
    """`files` is what is to arrive; a size of 0 means that the sender did not say it.

    Raises BadRequest for files that no artifact can have.
    """

    def __init__(
        self,
        store: ArtifactStore,
        kind: ArtifactKind,
        artifact_id: str,
        files: Sequence[ManifestFile],
    ) -> None:
        check_id(artifact_id)
        self._store = store
        self._kind = kind
        self._artifact_id = artifact_id
        self._wanted = _by_path(files)
        content = "".join(f"{path}\n{file.sha256}\n" for path, file in sorted(self._wanted.items()))
        digest = hashlib.sha256(content.encode()).hexdigest()[:_DIGEST_DIGITS]
        self.folder = store.root / INCOMING / f"{kind.value}-{artifact_id}-{digest}"
        self._parts, self._files = self.folder / "parts", self.folder / "files"

    @contextmanager
    def held(self) -> Iterator[None]:
        """No other receives it, and none sweeps it away, during the block; it is young then.

        Raises Unavailable while another does.
        """
        with ExitStack() as stack, telling_full_disk(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(locked(self.folder, 0))
            except (Unavailable, FileNotFoundError):
                raise Unavailable(
                    f"Somebody else is sending {self._kind.value}/{self._artifact_id}; ask again"
                    " when that is done.",
                    retry_after_seconds=_RETRY_SECONDS,
                ) from None
            os.utime(self.folder)
            yield

    def existing(self) -> Manifest | None:
        """The artifact when it is whole already, published anew. Raises what `adopt` does."""
        return self._store.adopt(self._kind, self._artifact_id, self._wanted.values())

    def arrived(self) -> list[ManifestFile]:
        """Whole files as they were announced; of others the bytes that are here, without a hash."""
        found = []
        for path, file in self._wanted.items():
            if (self._files / path).is_file():
                found.append(file)
            elif (self._parts / path).is_file():
                size_bytes = (self._parts / path).stat().st_size
                found.append(ManifestFile(path=path, size_bytes=size_bytes, sha256=""))
        return found

    def arrived_bytes(self) -> int:
        return sum(file.size_bytes for file in self.arrived())

    def missing_bytes(self) -> int:
        total = sum(file.size_bytes for file in self._wanted.values())
        return max(0, total - self.arrived_bytes())

    def write(self, relative: str, offset_bytes: int, data: bytes) -> None:
        """The next bytes of a file. Raises BadRequest for others, OutOfDisk without room.

        A file whose last byte comes is checked: BadRequest, and none of it is kept, when its
        SHA-256 is another.
        """
        path = safe_path(relative).as_posix()
        file = self._wanted.get(path)
        if file is None:
            raise BadRequest(f"{relative} is not in the manifest.")
        if len(data) > MAX_CHUNK_BYTES:
            raise BadRequest(f"A chunk has at most {MAX_CHUNK_BYTES} bytes, not {len(data)}.")
        part = self._parts / path
        due = file.size_bytes if (self._files / path).is_file() else _size(part)
        if offset_bytes != due:
            raise BadRequest(f"A chunk begins at byte {offset_bytes}; byte {due} is due.")
        if file.size_bytes and due + len(data) > file.size_bytes:
            raise BadRequest(f"{path} has {file.size_bytes} bytes and no more.")
        with telling_full_disk(part):
            part.parent.mkdir(parents=True, exist_ok=True)
            with part.open("ab") as opened:
                opened.write(data)
            if file.size_bytes and due + len(data) == file.size_bytes:
                self._settle(path, file)

    def publish(
        self, labels: Mapping[str, str], *, project_id: str = "", team_id: str = ""
    ) -> Manifest:
        """Makes the artifact. Raises BadRequest when bytes are missing; what is here is kept."""
        with telling_full_disk(self.folder):
            for path, file in self._wanted.items():
                if not (self._files / path).is_file():
                    self._settle(path, file)
            for place in durable_files.files_below(self._files):
                if place.relative_to(self._files).as_posix() not in self._wanted:
                    place.unlink()  # a manifest whose artifact could not be made
            draft = Draft(self._store, self._kind, self._artifact_id, self._files)
            try:
                manifest = draft.publish(
                    labels, project_id=project_id, team_id=team_id, guard=self._check_described
                )
            except Conflict:
                self.discard()
                raise
        self.discard()
        return manifest

    def discard(self) -> None:
        """Forgets what arrived."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _check_described(self) -> None:
        """Files may have been damaged or taken away since each was settled: they are sent anew."""
        text = (self._files / MANIFEST).read_bytes()
        described = Manifest.read(text, f"{self._kind.value}/{self._artifact_id}").files
        found = {file.path: file.sha256 for file in described}
        bad = [path for path, file in self._wanted.items() if found.get(path) != file.sha256]
        for path in bad:
            (self._files / path).unlink(missing_ok=True)
        if bad:
            raise BadRequest(
                f"{bad[0]} is no longer whole where it arrived. Nothing of it was kept; send it"
                " again."
            )

    def _settle(self, path: str, file: ManifestFile) -> None:
        part, whole = self._parts / path, self._files / path
        if not part.exists() and file.sha256 == hashlib.sha256().hexdigest():
            part.parent.mkdir(parents=True, exist_ok=True)
            part.touch()
        if _size(part) < file.size_bytes or not part.exists():
            raise BadRequest(
                f"{path} did not arrive whole: byte {_size(part)} is due. Go on from there."
            )
        if durable_files.sha256_of(part) != file.sha256:
            part.unlink()
            raise BadRequest(
                f"{path} did not arrive whole: its SHA-256 is not the manifest's. Nothing of it was"
                " kept; send it again."
            )
        durable_files.sync(part)
        whole.parent.mkdir(parents=True, exist_ok=True)
        os.rename(part, whole)


def _by_path(files: Sequence[ManifestFile]) -> dict[str, ManifestFile]:
    if len(files) > _MAX_FILES:
        raise BadRequest(f"An artifact has at most {_MAX_FILES} files, not {len(files)}.")
    found: dict[str, ManifestFile] = {}
    for file in files:
        path = safe_path(file.path).as_posix()
        if path in found:
            raise BadRequest(f"{file.path} is in the manifest twice.")
        if not _SHA256.fullmatch(file.sha256):
            raise BadRequest(f"sha256 of {file.path} must be 64 lower-case hexadecimal digits.")
        found[path] = file.model_copy(update={"path": path})
    for path in found:
        above = [parent.as_posix() for parent in safe_path(path).parents]
        if clash := found.keys() & set(above):
            raise BadRequest(f"{clash.pop()} cannot be a file and the folder of {path}.")
    return found


def _size(place: Path) -> int:
    return place.stat().st_size if place.exists() else 0
