"""A full disk: a sentence says so, what was there stays whole, and room is all that is missing."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.child import Child
from services.cluster import redis_server
from services.cluster.artifacts.fences import Fence
from services.cluster.artifacts.incoming import Incoming
from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.remote import RemoteArtifacts
from services.cluster.artifacts.servicer import ArtifactsServicer
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import HearthError, NotFound, OutOfDisk, StoreUnavailable
from services.cluster.jobs.queue import LEASE_SECONDS, JobQueue
from services.cluster.jobs.records import JobKind
from services.cluster.rpc import open_channel
from services.cluster.store.connection import Store
from tests.cluster.artifacts.head import serving, settings_of
from tests.faults.filesystems import tmpfs, why_no_volumes
from tests.faults.report import FaultReport

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(why_no_volumes()), reason=why_no_volumes()),
]

ADAPTER = ArtifactKind.ADAPTER
MIB = 1024 * 1024
_PAGE = 4096
_VOLUME_BYTES = 16 * MIB
_PATIENCE_SECONDS = 60.0


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "volume", _VOLUME_BYTES) as place:
        yield place


def fill(volume: Path, num_free_pages: int = 0) -> None:
    """Leaves so many pages of 4096 bytes."""
    found = os.statvfs(volume)
    (volume / "filler").write_bytes(b"\0" * _PAGE * (found.f_bavail - num_free_pages))
    assert os.statvfs(volume).f_bavail == num_free_pages


def make_room(volume: Path) -> None:
    (volume / "filler").unlink()


def publish(store: ArtifactStore, artifact_id: str, fence: Fence | None = None) -> None:
    with store.draft(ADAPTER, artifact_id) as draft:
        draft.file("deep/w").write_bytes(b"w" * 3 * _PAGE)
        draft.file("config").write_bytes(b"c" * 10)
        draft.publish(fence=fence)


def test_publishing_on_a_full_disk_leaves_the_whole_artifact_or_none(volume: Path) -> None:
    """Whichever write is the one for which there is no room."""
    store = ArtifactStore(volume)
    publish(store, "earlier")
    outcomes = []
    for num_free_pages in range(8):
        artifact_id = f"a{num_free_pages}"
        fill(volume, num_free_pages)
        try:
            store.fences.raise_to(artifact_id, 1)
            publish(store, artifact_id, Fence(artifact_id, 1))
        except OutOfDisk as error:
            outcomes.append(error.message)
            with pytest.raises(NotFound):
                store.path(ADAPTER, artifact_id)
        else:
            outcomes.append("")
            assert store.verify(ADAPTER, artifact_id) == []
        assert list((volume / "drafts").glob("*")) == []
        assert store.verify(ADAPTER, "earlier") == []
        make_room(volume)
        store.fences.raise_to(artifact_id, 1)
        publish(store, artifact_id, Fence(artifact_id, 1))
    num_refused = sum(bool(outcome) for outcome in outcomes)
    assert all("is full; nothing was kept. Make room" in each for each in outcomes[:num_refused])
    assert not any(outcomes[num_refused:])
    assert 3 < num_refused < len(outcomes)
    print(  # noqa: T201
        f"\nfull disk, 0 to {len(outcomes) - 1} pages free: {num_refused} publications refused with"
        " OutOfDisk, 0 halves, 0 earlier artifacts harmed"
    )


async def test_a_disk_that_fills_up_under_a_transfer_keeps_what_arrived(
    volume: Path, tmp_path: Path
) -> None:
    here, there = ArtifactStore(tmp_path / "here"), ArtifactStore(volume)
    content = os.urandom(10 * MIB)
    with here.draft(ADAPTER, "a1") as draft:
        draft.file("w").write_bytes(content)
        manifest = draft.publish()
    publish(there, "earlier")
    servicer = ArtifactsServicer(there, reserve_bytes=MIB)
    settings = settings_of(tmp_path)
    arriving = Incoming(there, ADAPTER, "a1", manifest.files)

    def told(done: int, total: int) -> None:
        if arriving.arrived_bytes() >= 2 * MIB and not (volume / "filler").exists():
            fill(volume)

    async with serving(servicer, settings) as address, open_channel(address, settings) as channel:
        remote, folder = RemoteArtifacts(channel), here.path(ADAPTER, "a1")
        # The second when it was tried again, because the refusal came in the midst of a message.
        with pytest.raises(OutOfDisk, match=r"is full|are needed in"):
            await remote.put(folder, manifest, told)
        with pytest.raises(OutOfDisk, match=r"are needed in .*, where .* are free"):
            await remote.put(folder, manifest, told)
        assert there.ids(ADAPTER) == ["earlier"]
        assert there.verify(ADAPTER, "earlier") == []
        make_room(volume)
        seen = list[int]()
        await remote.put(folder, manifest, lambda done, _: seen.append(done))
    assert seen[0] > 2 * MIB
    assert there.verify(ADAPTER, "a1") == []


@asynccontextmanager
async def redis_kept_on(volume: Path, logs: Path) -> AsyncIterator[tuple[Child, Store]]:
    """As the launcher keeps it: started again when it ends."""
    command, url = redis_server.prepare(volume)
    child = Child("redis", command, dict(os.environ), logs, lambda _: None)
    await child.start()
    try:
        store = await eventually_connected(url)
        yield child, store
        await store.close()
    finally:
        await child.stop(5)


async def eventually_connected(url: str) -> Store:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return await Store.connect(url)
        except StoreUnavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


async def refusal_of(queue: JobQueue, accepted: list[str]) -> HearthError:
    """Enqueues until there is no room any more."""
    for _ in range(1000):
        try:
            accepted.append((await queue.enqueue(JobKind.SCAN, {"text": "x" * 500})).job_id)
        except StoreUnavailable as error:
            return error
    raise AssertionError("a full disk took a thousand jobs")


async def test_redis_on_a_full_disk_loses_no_job_and_goes_on_by_itself(
    volume: Path, tmp_path: Path, reports: list[FaultReport]
) -> None:
    """With appendfsync always Redis ends when it cannot write its file; the launcher starts it."""
    accepted: list[str] = []
    async with redis_kept_on(volume, tmp_path) as (child, store):
        queue = JobQueue(store)
        for _ in range(20):
            accepted.append((await queue.enqueue(JobKind.SCAN, {})).job_id)
        fill(volume)
        refused = await refusal_of(queue, accepted)
        assert "Redis does not answer" in refused.message
        assert refused.retry_after_seconds
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while child.num_ended == 0:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        said = child.last_words
        make_room(volume)
        while True:
            try:
                accepted.append((await queue.enqueue(JobKind.SCAN, {})).job_id)
                break
            except StoreUnavailable:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
        for job_id in accepted:
            assert (await queue.get(job_id)).job_id == job_id
    reports.append(
        FaultReport("disk full under Redis", len(accepted), 0, None, None, LEASE_SECONDS)
    )
    print(  # noqa: T201
        f"\nfull disk under Redis: 0 lost of {len(accepted)} jobs acknowledged, it ended"
        f" {child.num_ended} times and said: {said}"
    )
