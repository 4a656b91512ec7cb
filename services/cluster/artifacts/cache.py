"""Artifacts of the head on another host: fetched once, checked, and the oldest ones forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.cluster.artifacts.disk_space import readable_size
from services.cluster.artifacts.locks import locked
from services.cluster.artifacts.manifest import MANIFEST, ArtifactKind
from services.cluster.artifacts.remote import Progress, RemoteArtifacts
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import Conflict, NotFound, OutOfDisk, Unavailable


@dataclass(frozen=True)
class Cached:
    kind: ArtifactKind
    artifact_id: str
    size_bytes: int
    used_at: float


def evicted(cached: Iterable[Cached], max_bytes: int) -> list[Cached]:
    """Which to forget for the rest to have at most `max_bytes`, least recently used first."""
    oldest_first = sorted(cached, key=lambda c: c.used_at)
    excess = sum(c.size_bytes for c in oldest_first) - max_bytes
    found = []
    for one in oldest_first:
        if excess <= 0:
            break
        found.append(one)
        excess -= one.size_bytes
    return found


class ArtifactCache:
    """`store` is a folder of this host that holds nothing else; processes may share it.

    It has at most `max_bytes`, and more only while more is in use.
    """

    def __init__(self, store: ArtifactStore, remote: RemoteArtifacts, max_bytes: int) -> None:
        self._store = store
        # What is in use is locked, and not waited for.
        self._evicting = ArtifactStore(store.root, wait_seconds=0)
        self._remote = remote
        self._max_bytes = max_bytes
        self._fetching: defaultdict[tuple[ArtifactKind, str], asyncio.Lock] = defaultdict(
            asyncio.Lock
        )
        self._checked: set[tuple[ArtifactKind, str]] = set()

    async def path(
        self, kind: ArtifactKind, artifact_id: str, progress: Progress | None = None
    ) -> Path:
        """A folder with the whole artifact; it is fetched when it is not here yet.

        It may be forgotten when others are asked for: whoever reads for long takes `using`.
        Raises NotFound, OutOfDisk, and Unavailable when the head stays away.
        """
        async with self._fetching[kind, artifact_id]:
            if not await asyncio.to_thread(self._is_whole, kind, artifact_id):
                await self._fetch(kind, artifact_id, progress)
            folder = self._store.path(kind, artifact_id)
            now = time.time_ns()  # utime(2) by itself knows the time to a few ms only
            os.utime(folder, ns=(now, now))
            return folder

    @asynccontextmanager
    async def using(
        self, kind: ArtifactKind, artifact_id: str, progress: Progress | None = None
    ) -> AsyncIterator[Path]:
        """The same folder, which stays during the block."""
        with ExitStack() as stack:
            while True:
                folder = await self.path(kind, artifact_id, progress)
                try:
                    stack.enter_context(locked(folder / MANIFEST, 0, shared=True))
                    break
                except (FileNotFoundError, Unavailable):
                    continue  # forgotten in this moment, for another that was asked for
            yield folder

    def cached(self) -> list[Cached]:
        found = []
        for kind in ArtifactKind:
            for manifest in self._store.manifests(kind):
                try:
                    used_at = self._store.place(kind, manifest.artifact_id).stat().st_mtime
                except FileNotFoundError:
                    continue
                found.append(Cached(kind, manifest.artifact_id, manifest.size_bytes, used_at))
        return found

    async def _fetch(self, kind: ArtifactKind, artifact_id: str, progress: Progress | None) -> None:
        size_bytes = (await self._remote.manifest(kind, artifact_id)).size_bytes
        if size_bytes > self._max_bytes:
            raise OutOfDisk(
                f"{kind.value}/{artifact_id} has {readable_size(size_bytes)} and the cache in"
                f" {self._store.root} may have {readable_size(self._max_bytes)}. Allow it more."
            )
        await asyncio.to_thread(self._evict, self._max_bytes - size_bytes)
        await self._remote.fetch(kind, artifact_id, self._store, progress)
        self._checked.add((kind, artifact_id))  # every file was on its way here

    def _is_whole(self, kind: ArtifactKind, artifact_id: str) -> bool:
        """Checked by SHA-256 once in the life of a process; a damaged one is thrown away."""
        try:
            self._store.path(kind, artifact_id)
        except NotFound:
            self._checked.discard((kind, artifact_id))
            return False
        if (kind, artifact_id) in self._checked:
            return True
        try:
            damaged = self._store.verify(kind, artifact_id)
        except Conflict:
            damaged = [MANIFEST]
        except NotFound:
            return False
        if damaged:
            with contextlib.suppress(NotFound):  # another process of this host was faster
                self._store.delete(kind, artifact_id)
            return False
        self._checked.add((kind, artifact_id))
        return True

    def _evict(self, max_bytes: int) -> None:
        for one in self._forgotten(max_bytes):
            self._checked.discard((one.kind, one.artifact_id))

    def _forgotten(self, max_bytes: int) -> Iterable[Cached]:
        cached = self.cached()
        while going := evicted(cached, max_bytes):
            one = going[0]
            cached.remove(one)
            try:
                self._evicting.delete(one.kind, one.artifact_id)
            except NotFound:
                continue
            except Unavailable:
                max_bytes -= one.size_bytes  # in use: it stays, and counts
                continue
            yield one
