"""Takes away what garbage collection finds: artifacts, and what broken off work left behind."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from services.cluster.artifacts.fences import FENCES
from services.cluster.artifacts.garbage import GRACE_SECONDS, MIN_GRACE_SECONDS, garbage
from services.cluster.artifacts.incoming import INCOMING
from services.cluster.artifacts.locks import locked
from services.cluster.artifacts.manifest import MANIFEST, ArtifactKind, Manifest
from services.cluster.artifacts.store import DRAFTS, ArtifactStore
from services.cluster.errors import NotFound, Unavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refuse:
    """Something that may go: its place below the store's root, and why."""

    place: Path
    reason: str
    size_bytes: int
    age_seconds: float


class Sweeper:
    """`live_fences` are the jobs that have not ended; theirs stay however old they are."""

    def __init__(
        self,
        store: ArtifactStore,
        references: Mapping[ArtifactKind, Collection[str]],
        live_fences: Collection[str],
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._store = store
        self._references = references
        self._live_fences = live_fences
        self._now = time.time()
        self._oldest = self._now - max(grace_seconds, MIN_GRACE_SECONDS)

    def dry_run(self) -> list[Refuse]:
        """What `sweep` would take away; nothing is changed."""
        found = [self._refuse(manifest) for manifest in self._garbage()]
        found += [r for r in self._left_behind() if r.age_seconds > self._now - self._oldest]
        return found

    def sweep(self) -> list[Refuse]:
        """What was taken away. What somebody uses in this moment stays until the next time."""
        gone = []
        for manifest in self._garbage():
            refuse = self._refuse(manifest)
            with contextlib.suppress(NotFound):
                if self._deleted(manifest):
                    gone.append(refuse)
        for refuse in self._left_behind():
            if refuse.age_seconds > self._now - self._oldest and self._cleared(refuse):
                gone.append(refuse)
        return gone

    def _garbage(self) -> list[Manifest]:
        found = []
        for kind in ArtifactKind:
            for manifest in self._store.manifests(kind):
                with contextlib.suppress(NotFound):
                    published_at = self._store.published_at(kind, manifest.artifact_id)
                    newest = max(published_at, manifest.created_at)
                    found.append(manifest.model_copy(update={"created_at": newest}))
        return garbage(found, self._references, self._now, self._now - self._oldest)

    def _refuse(self, manifest: Manifest) -> Refuse:
        return Refuse(
            place=Path(manifest.kind.value, manifest.artifact_id),
            reason="no record names it",
            size_bytes=manifest.size_bytes,
            age_seconds=self._now - manifest.created_at,
        )

    def _left_behind(self) -> Iterator[Refuse]:
        for name, reason in ((DRAFTS, "a draft left behind"), (INCOMING, "a broken transfer")):
            for place in _entries(self._store.root / name):
                yield self._left(place, reason)
        for kind in ArtifactKind:
            # Runs keep files of their own beside their checkpoints.
            if kind is not ArtifactKind.CHECKPOINT:
                for place in _entries(self._store.root / kind.value):
                    if place.is_dir() and not (place / MANIFEST).exists():
                        yield self._left(place, "deleted by halves")
        for place in _entries(self._store.root / FENCES):
            if place.name not in self._live_fences:
                yield self._left(place, "the fence of a job that ended")

    def _left(self, place: Path, reason: str) -> Refuse:
        size_bytes, written_at = size_and_age(place)
        return Refuse(
            place.relative_to(self._store.root), reason, size_bytes, self._now - written_at
        )

    def _deleted(self, manifest: Manifest) -> bool:
        try:
            return self._store.delete(
                manifest.kind, manifest.artifact_id, unless_published_after=self._oldest
            )
        except Unavailable:
            log.warning("artifact is in use", extra={"artifact": manifest.artifact_id})
            return False

    def _cleared(self, refuse: Refuse) -> bool:
        place = self._store.root / refuse.place
        try:
            if refuse.place.parts[0] == FENCES and not place.name.startswith("."):
                self._store.fences.delete(place.name)
            elif place.is_dir():
                with locked(place, 0):
                    if size_and_age(place)[1] >= self._oldest:
                        return False  # somebody used it since it was found
                    shutil.rmtree(place)
            else:
                place.unlink()
        except FileNotFoundError:
            return False
        except Unavailable:
            log.warning("what looked left behind is in use", extra={"place": str(refuse.place)})
            return False
        return True


def size_and_age(place: Path) -> tuple[int, float]:
    """Bytes of the files below, and when something was last written there."""
    size_bytes, written_at = 0, 0.0
    for entry in _tree(place):
        with contextlib.suppress(FileNotFoundError):
            found = entry.lstat()
            written_at = max(written_at, found.st_mtime)
            size_bytes += found.st_size if entry.is_file() else 0
    return size_bytes, written_at


def _tree(place: Path) -> Iterator[Path]:
    yield place
    for parent, folders, names in os.walk(place):
        yield from (Path(parent, name) for name in (*folders, *names))


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
