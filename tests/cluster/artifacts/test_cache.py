from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.cluster.artifacts.cache import ArtifactCache, Cached, evicted
from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.remote import RemoteArtifacts
from services.cluster.artifacts.servicer import ArtifactsServicer
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import NotFound, OutOfDisk
from services.cluster.rpc import open_channel
from tests.cluster.artifacts.head import ROOT, serving, settings_of

ADAPTER = ArtifactKind.ADAPTER
MIB = 1024 * 1024
SIZE = 4 * MIB

# Fetches a1 into the cache of its second argument until it is killed; tells when bytes come.
_FETCHER = """
import asyncio, sys
from pathlib import Path
from services.cluster.artifacts.cache import ArtifactCache
from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.remote import RemoteArtifacts
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.rpc import open_channel
from tests.cluster.artifacts.head import settings_of

def told(done, total):
    print(done, flush=True)
    if done >= total // 2:
        sys.stdin.readline()

async def main():
    folder = Path(sys.argv[2])
    async with open_channel(sys.argv[1], settings_of(folder)) as channel:
        remote = RemoteArtifacts(channel, reserve_bytes=0)
        cache = ArtifactCache(ArtifactStore(folder), remote, 2**30)
        await cache.path(ArtifactKind.ADAPTER, "a1", told)

asyncio.run(main())
"""


class Counting(ArtifactsServicer):
    """Keeps which artifacts were sent, and how many bytes of them."""

    def __init__(self, store: ArtifactStore) -> None:
        super().__init__(store, reserve_bytes=0)
        self.sent: list[tuple[str, int]] = []

    async def GetArtifact(self, request, context):  # type: ignore[no-untyped-def]
        num_bytes = 0
        try:
            async for chunk in super().GetArtifact(request, context):
                num_bytes += len(chunk.data)
                yield chunk
        finally:
            self.sent.append((request.artifact_id, num_bytes))


@pytest.fixture
def head(tmp_path: Path) -> Counting:
    store = ArtifactStore(tmp_path / "head")
    for artifact_id in ("a1", "a2", "a3"):
        with store.draft(ADAPTER, artifact_id) as draft:
            draft.file("deep/w").write_bytes(os.urandom(SIZE))
            draft.publish({"name": artifact_id})
    return Counting(store)


@pytest.fixture
async def address(head: Counting, tmp_path: Path) -> AsyncIterator[str]:
    async with serving(head, settings_of(tmp_path)) as address:
        yield address


@pytest.fixture
async def remote(address: str, tmp_path: Path) -> AsyncIterator[RemoteArtifacts]:
    async with open_channel(address, settings_of(tmp_path)) as channel:
        yield RemoteArtifacts(channel, reserve_bytes=0)


@pytest.fixture
def cached(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "cache")


def test_the_least_recently_used_ones_go() -> None:
    held = [Cached(ADAPTER, str(n), size_bytes=10, used_at=n) for n in (3, 1, 2)]
    assert [c.artifact_id for c in evicted(held, 15)] == ["1", "2"]
    assert evicted(held, 30) == []
    assert [c.artifact_id for c in evicted(held, -1)] == ["1", "2", "3"]


async def test_many_callers_fetch_once(
    head: Counting, remote: RemoteArtifacts, cached: ArtifactStore
) -> None:
    cache = ArtifactCache(cached, remote, 100 * MIB)
    folders = await asyncio.gather(*(cache.path(ADAPTER, "a1") for _ in range(10)))
    assert set(folders) == {cached.path(ADAPTER, "a1")}
    assert cached.verify(ADAPTER, "a1") == []
    assert cached.manifest(ADAPTER, "a1").labels == {"name": "a1"}
    # Another process of the host has a cache object of its own.
    others = [ArtifactCache(cached, remote, 100 * MIB) for _ in range(3)]
    await asyncio.gather(*(other.path(ADAPTER, "a2") for other in others))
    assert sorted(head.sent) == [("a1", SIZE), ("a2", SIZE)]
    with pytest.raises(NotFound):
        await cache.path(ADAPTER, "a9")


async def test_a_damaged_one_is_fetched_anew(
    head: Counting, remote: RemoteArtifacts, cached: ArtifactStore
) -> None:
    place = await ArtifactCache(cached, remote, 100 * MIB).path(ADAPTER, "a1") / "deep" / "w"
    content = place.read_bytes()
    place.write_bytes(b"\0" + content[1:])
    again = await ArtifactCache(cached, remote, 100 * MIB).path(ADAPTER, "a1")
    assert (again / "deep" / "w").read_bytes() == content
    assert len(head.sent) == 2


async def test_the_oldest_one_makes_room_but_never_one_in_use(
    remote: RemoteArtifacts, cached: ArtifactStore
) -> None:
    cache = ArtifactCache(cached, remote, 2 * SIZE + MIB)
    other = ArtifactCache(cached, remote, 2 * SIZE + MIB)
    await cache.path(ADAPTER, "a1")
    await cache.path(ADAPTER, "a2")
    await cache.path(ADAPTER, "a1")  # a2 is the oldest now
    await cache.path(ADAPTER, "a3")
    assert cached.ids(ADAPTER) == ["a1", "a3"]
    async with other.using(ADAPTER, "a1") as folder, cache.using(ADAPTER, "a3"):
        await cache.path(ADAPTER, "a2")
        assert cached.ids(ADAPTER) == ["a1", "a2", "a3"]  # more, only while more is in use
        assert (folder / "deep" / "w").stat().st_size == SIZE
    await cache.path(ADAPTER, "a2")
    async with cache.using(ADAPTER, "a2"):
        await asyncio.to_thread(cached.delete, ADAPTER, "a1")
        await cache.path(ADAPTER, "a1")
    assert cached.ids(ADAPTER) == ["a1", "a2"]
    small = ArtifactCache(cached, remote, MIB)
    with pytest.raises(OutOfDisk, match=r"has 4\.0 MiB and the cache in .* may have 1\.0 MiB"):
        await small.path(ADAPTER, "a3")


async def test_a_fetch_that_is_killed_goes_on_where_it_was(
    head: Counting, remote: RemoteArtifacts, cached: ArtifactStore, address: str
) -> None:
    fetcher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _FETCHER, address, str(cached.root)),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert fetcher.stdout is not None
    while int(await fetcher.stdout.readline()) < SIZE // 2:
        pass
    fetcher.send_signal(signal.SIGKILL)
    await fetcher.wait()
    with pytest.raises(NotFound):
        cached.manifest(ADAPTER, "a1")
    seen = list[int]()
    cache = ArtifactCache(cached, remote, 100 * MIB)
    await cache.path(ADAPTER, "a1", lambda done, _: seen.append(done))
    assert seen[0] > SIZE // 2
    assert cached.verify(ADAPTER, "a1") == []
