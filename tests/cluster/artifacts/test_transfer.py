"""Artifacts between hosts: whole or not at all, and never from the beginning again."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import grpc.aio
import pytest

from services.cluster.artifacts.disk_space import free_bytes
from services.cluster.artifacts.incoming import Incoming
from services.cluster.artifacts.locks import locked
from services.cluster.artifacts.manifest import MANIFEST, ArtifactKind, Manifest, ManifestFile
from services.cluster.artifacts.messages import KIND_NUMBERS, manifest_message
from services.cluster.artifacts.remote import RemoteArtifacts
from services.cluster.artifacts.servicer import ArtifactsServicer
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.artifacts.sweeper import Sweeper
from services.cluster.errors import (
    BadRequest,
    Conflict,
    DeadlineExceeded,
    NotFound,
    OutOfDisk,
    Unavailable,
)
from services.cluster.pb.v1 import artifacts_pb2 as pb
from services.cluster.pb.v1 import artifacts_pb2_grpc as rpc
from services.cluster.rpc import open_channel, translate_rpc_error
from tests.cluster.artifacts.head import ROOT, head_process, serving, settings_of

ADAPTER = ArtifactKind.ADAPTER
MIB = 1024 * 1024
FILES = {"big.bin": os.urandom(MIB) * 16 + b"end", "deep/small": b"s" * 100, "empty": b""}
SIZE = sum(len(content) for content in FILES.values())

# Puts the artifact of its second argument to an address, until it is killed.
_SENDER = """
import asyncio, sys
from pathlib import Path
from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.remote import RemoteArtifacts
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.rpc import open_channel
from tests.cluster.artifacts.head import settings_of

def told(done, total):
    print(done, flush=True)
    if done > 6_000_000:
        sys.stdin.readline()

async def main():
    store = ArtifactStore(Path(sys.argv[2]))
    kind = ArtifactKind.ADAPTER
    async with open_channel(sys.argv[1], settings_of(Path(sys.argv[2]))) as channel:
        remote = RemoteArtifacts(channel)
        await remote.put(store.path(kind, "a1"), store.manifest(kind, "a1"), told)

asyncio.run(main())
"""


@pytest.fixture
def here(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "here")
    with store.draft(ADAPTER, "a1") as draft:
        for path, content in FILES.items():
            draft.file(path).write_bytes(content)
        draft.publish({"model": "m"}, project_id="p", team_id="t")
    return store


@pytest.fixture
def there(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "there")


@pytest.fixture
async def address(there: ArtifactStore) -> AsyncIterator[str]:
    servicer = ArtifactsServicer(there, reserve_bytes=0, silence_seconds=0.5)
    async with serving(servicer, settings_of(there.root)) as address:
        yield address


@pytest.fixture
async def channel(there: ArtifactStore, address: str) -> AsyncIterator[grpc.aio.Channel]:
    async with open_channel(address, settings_of(there.root)) as channel:
        yield channel


async def put_raw(
    channel: grpc.aio.Channel,
    manifest: Manifest,
    chunks: Sequence[tuple[str, int, bytes]],
    *,
    then_silent: bool = False,
) -> pb.ArtifactManifest:
    async def requests() -> AsyncIterator[pb.PutArtifactRequest]:
        yield pb.PutArtifactRequest(manifest=manifest_message(manifest))
        for path, offset_bytes, data in chunks:
            chunk = pb.ArtifactChunk(path=path, offset_bytes=offset_bytes, data=data)
            yield pb.PutArtifactRequest(chunk=chunk)
        if then_silent:
            await asyncio.Event().wait()

    stub: rpc.ArtifactsAsyncStub = rpc.ArtifactsStub(channel)
    try:
        return await stub.PutArtifact(requests())
    except grpc.aio.AioRpcError as error:
        raise translate_rpc_error(error) from error


async def arrived(channel: grpc.aio.Channel, manifest: Manifest) -> dict[str, tuple[int, bool]]:
    """Bytes that the other host has of each file, and whether it is whole."""
    stub: rpc.ArtifactsAsyncStub = rpc.ArtifactsStub(channel)
    request = pb.GetUploadRequest(
        kind=KIND_NUMBERS[manifest.kind],
        artifact_id=manifest.artifact_id,
        files=manifest_message(manifest).files,
    )
    state = await stub.GetUpload(request)
    return {file.path: (file.size_bytes, bool(file.sha256)) for file in state.files}


def one_file(content: bytes, path: str = "w", size_bytes: int | None = None) -> Manifest:
    size_bytes = len(content) if size_bytes is None else size_bytes
    sha256 = hashlib.sha256(content).hexdigest()
    file = ManifestFile(path=path, size_bytes=size_bytes, sha256=sha256)
    return Manifest(kind=ADAPTER, artifact_id="a1", files=(file,), created_at=0)


async def test_an_artifact_goes_there_and_back(
    here: ArtifactStore, there: ArtifactStore, channel: grpc.aio.Channel, tmp_path: Path
) -> None:
    remote, seen = RemoteArtifacts(channel), list[tuple[int, int]]()
    manifest = here.manifest(ADAPTER, "a1")
    put = await remote.put(here.path(ADAPTER, "a1"), manifest, lambda *now: seen.append(now))
    assert put.files == manifest.files
    assert there.verify(ADAPTER, "a1") == []
    assert there.manifest(ADAPTER, "a1").labels == {"model": "m"}
    assert seen[-1] == (SIZE, SIZE)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert list((there.root / "incoming").iterdir()) == []
    back = ArtifactStore(tmp_path / "back")
    fetched = await RemoteArtifacts(channel, reserve_bytes=0).fetch(ADAPTER, "a1", back)
    assert (fetched.files, fetched.project_id) == (manifest.files, "p")
    assert back.verify(ADAPTER, "a1") == []
    with pytest.raises(NotFound):
        await remote.manifest(ADAPTER, "a2")


async def test_a_folder_is_sent_as_an_artifact(
    there: ArtifactStore, channel: grpc.aio.Channel, tmp_path: Path
) -> None:
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    (tmp_path / "mine" / "deep" / "a").write_bytes(b"1")
    remote = RemoteArtifacts(channel)
    for _ in range(2):
        put = await remote.put_folder(tmp_path / "mine", ADAPTER, "a1", {"name": "n"})
        assert [file.path for file in put.files] == ["deep/a"]
    (tmp_path / "mine" / "deep" / "a").write_bytes(b"2")
    with pytest.raises(Conflict, match="never changed"):
        await remote.put_folder(tmp_path / "mine", ADAPTER, "a1")


async def test_a_sender_that_is_killed_goes_on_where_it_was(
    here: ArtifactStore, there: ArtifactStore, channel: grpc.aio.Channel, address: str
) -> None:
    manifest = here.manifest(ADAPTER, "a1")
    command = [sys.executable, "-c", _SENDER, address, str(here.root)]
    sender = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert sender.stdout is not None
    while int(await sender.stdout.readline()) <= 6_000_000:
        pass
    arriving, deadline = Incoming(there, ADAPTER, "a1", manifest.files), time.monotonic() + 30
    while arriving.arrived_bytes() < 2 * MIB:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    sender.send_signal(signal.SIGKILL)
    await sender.wait()
    with pytest.raises(NotFound):
        there.manifest(ADAPTER, "a1")
    before = (await arrived(channel, manifest))["big.bin"][0]
    assert 2 * MIB <= before < len(FILES["big.bin"])
    seen = list[int]()
    remote = RemoteArtifacts(channel)
    await remote.put(here.path(ADAPTER, "a1"), manifest, lambda done, _: seen.append(done))
    assert seen[0] > before
    assert there.verify(ADAPTER, "a1") == []


@pytest.mark.parametrize("direction", ["put", "fetch"])
async def test_a_head_that_is_killed_goes_on_where_it_was(
    here: ArtifactStore, there: ArtifactStore, tmp_path: Path, direction: str
) -> None:
    """The caller notices it by the time only."""
    back = ArtifactStore(tmp_path / "back")
    folder, manifest = here.path(ADAPTER, "a1"), here.manifest(ADAPTER, "a1")
    arriving = Incoming(there if direction == "put" else back, ADAPTER, "a1", manifest.files)
    seen, killed = list[int](), asyncio.Event()
    with head_process(there.root) as (head, address):
        port = int(address.rpartition(":")[2])

        def told(done: int, total: int) -> None:
            seen.append(done)
            if arriving.arrived_bytes() >= 2 * MIB and not killed.is_set():
                head.kill()
                head.wait()
                killed.set()

        async with open_channel(address, settings_of(there.root)) as channel:
            remote = RemoteArtifacts(channel, reserve_bytes=0)
            if direction == "put":
                moving = asyncio.create_task(remote.put(folder, manifest, told))
            else:
                await remote.put(folder, manifest)
                moving = asyncio.create_task(remote.fetch(ADAPTER, "a1", back, told))
            await killed.wait()
            num_before = len(seen)
            with head_process(there.root, port):
                await moving
    assert (there if direction == "put" else back).verify(ADAPTER, "a1") == []
    assert seen[num_before] > 2 * MIB  # nobody began from the start


async def test_two_senders_do_not_spoil_each_other(
    here: ArtifactStore, there: ArtifactStore, channel: grpc.aio.Channel
) -> None:
    manifest, folder = here.manifest(ADAPTER, "a1"), here.path(ADAPTER, "a1")
    remotes = [RemoteArtifacts(channel) for _ in range(3)]
    done = await asyncio.gather(*(remote.put(folder, manifest) for remote in remotes))
    assert [m.files for m in done] == [manifest.files] * 3
    assert there.verify(ADAPTER, "a1") == []


async def test_senders_of_different_bytes_under_one_id_have_one_winner(
    there: ArtifactStore, channel: grpc.aio.Channel
) -> None:
    one, other = one_file(b"a" * 50), one_file(b"b" * 50)
    first = asyncio.create_task(put_raw(channel, one, [("w", 0, b"a" * 20)], then_silent=True))
    while "w" not in await arrived(channel, one):
        await asyncio.sleep(0.01)
    with pytest.raises(Unavailable, match="Somebody else"):
        await put_raw(channel, one, [])
    await put_raw(channel, other, [("w", 0, b"b" * 50)])
    with pytest.raises(DeadlineExceeded, match="silent"):
        await first
    with pytest.raises(Conflict):
        await put_raw(channel, one, [("w", 20, b"a" * 30)])
    assert (there.path(ADAPTER, "a1") / "w").read_bytes() == b"b" * 50


async def test_bytes_that_do_not_match_are_not_kept(
    there: ArtifactStore, channel: grpc.aio.Channel
) -> None:
    manifest = one_file(b"right")
    with pytest.raises(BadRequest, match="did not arrive whole"):
        await put_raw(channel, manifest, [("w", 0, b"wrong")])
    assert await arrived(channel, manifest) == {}
    with pytest.raises(BadRequest, match="byte 3 is due"):
        await put_raw(channel, manifest, [("w", 0, b"rig")])
    assert await arrived(channel, manifest) == {"w": (3, False)}
    for chunks, sentence in (
        ([("w", 0, b"rig")], "byte 3 is due"),
        ([("w", 3, b"htttt")], "has 5 bytes and no more"),
        ([("x", 0, b"1")], "not in the manifest"),
        ([("../w", 0, b"1")], "no file name"),
        ([("w", 3, b"x" * (MIB + 1))], "at most 1048576"),
    ):
        with pytest.raises(BadRequest, match=sentence):
            await put_raw(channel, manifest, chunks)
    assert there.manifests(ADAPTER) == []
    await put_raw(channel, manifest, [("w", 3, b"ht")])
    assert (there.path(ADAPTER, "a1") / "w").read_bytes() == b"right"


async def test_bytes_that_a_fall_of_the_head_damaged_are_sent_anew(
    here: ArtifactStore, there: ArtifactStore, channel: grpc.aio.Channel
) -> None:
    manifest = here.manifest(ADAPTER, "a1")
    Incoming(there, ADAPTER, "a1", manifest.files).write("big.bin", 0, b"\0" * MIB)
    await RemoteArtifacts(channel).put(here.path(ADAPTER, "a1"), manifest)
    assert there.verify(ADAPTER, "a1") == []


async def test_one_that_is_there_already_is_young_when_it_is_sent_again(
    there: ArtifactStore, channel: grpc.aio.Channel
) -> None:
    manifest, long_ago = one_file(b"w"), time.time() - 48 * 3600
    await put_raw(channel, manifest, [("w", 0, b"w")])
    place = there.path(ADAPTER, "a1") / MANIFEST
    old = there.manifest(ADAPTER, "a1").model_copy(update={"created_at": long_ago}).sealed()
    place.write_text(old.model_dump_json())
    os.utime(place, (long_ago, long_ago))
    sweeper = Sweeper(there, {}, ())
    assert len(sweeper.dry_run()) == 1
    with locked(place, shared=True):  # as somebody does who reads it
        await put_raw(channel, manifest, [])
    assert sweeper.sweep() == []
    assert there.verify(ADAPTER, "a1") == []


@pytest.mark.parametrize(
    "files",
    [
        [("../x", "0" * 64)],
        [("/etc/x", "0" * 64)],
        [("manifest.json", "0" * 64)],
        [("a", "0" * 64), ("./a", "0" * 64)],
        [("a", "0" * 64), ("a/b", "0" * 64)],
        [("a", "none")],
        [("a", "A" * 64)],
    ],
)
async def test_a_manifest_that_no_artifact_can_have_is_refused(
    channel: grpc.aio.Channel, there: ArtifactStore, files: list[tuple[str, str]]
) -> None:
    described = tuple(ManifestFile(path=p, size_bytes=1, sha256=s) for p, s in files)
    manifest = Manifest(kind=ADAPTER, artifact_id="a1", files=described, created_at=0)
    with pytest.raises(BadRequest):
        await put_raw(channel, manifest, [])
    assert not (there.root / "incoming").exists()


async def test_no_byte_is_taken_when_there_is_no_room(there: ArtifactStore) -> None:
    settings = settings_of(there.root)
    there.root.mkdir()
    servicer = ArtifactsServicer(there, reserve_bytes=free_bytes(there.root) - 10 * MIB)
    async with serving(servicer, settings) as address, open_channel(address, settings) as channel:
        huge = one_file(b"x", size_bytes=1000 * MIB)
        with pytest.raises(
            OutOfDisk, match=r"1000\.0 MiB are needed in .*there, where .* are free"
        ):
            await put_raw(channel, huge, [("w", 0, b"x")])
        assert await arrived(channel, huge) == {}
        await put_raw(channel, one_file(b"x"), [("w", 0, b"x")])
        full = RemoteArtifacts(channel, reserve_bytes=2**60)
        with pytest.raises(OutOfDisk):
            await full.fetch(ADAPTER, "a1", ArtifactStore(there.root.parent / "back"))


async def test_bytes_that_are_held_are_not_sent(
    here: ArtifactStore, there: ArtifactStore, channel: grpc.aio.Channel
) -> None:
    manifest = here.manifest(ADAPTER, "a1")
    await RemoteArtifacts(channel).put(here.path(ADAPTER, "a1"), manifest)
    stub: rpc.ArtifactsAsyncStub = rpc.ArtifactsStub(channel)
    kind, end = pb.ARTIFACT_KIND_ADAPTER, len(FILES["big.bin"])
    request = pb.GetArtifactRequest(
        kind=kind, artifact_id="a1", held_bytes={"big.bin": end - 3, "deep/small": 100}
    )
    chunks = [(c.path, c.offset_bytes, c.data) async for c in stub.GetArtifact(request)]
    assert chunks == [("big.bin", end - 3, b"end")]
    request = pb.GetArtifactRequest(kind=kind, artifact_id="a1", held_bytes={"big.bin": end + 1})
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        [chunk async for chunk in stub.GetArtifact(request)]
    assert isinstance(translate_rpc_error(refused.value), BadRequest)


async def test_a_list_is_paged(there: ArtifactStore, channel: grpc.aio.Channel) -> None:
    for number in range(5):
        with there.draft(ADAPTER, f"a{number}") as draft:
            draft.file("w").write_text(str(number))
            draft.publish()
    stub: rpc.ArtifactsAsyncStub = rpc.ArtifactsStub(channel)
    kind, token, pages = pb.ARTIFACT_KIND_ADAPTER, "", list[list[str]]()
    while True:
        request = pb.ListArtifactsRequest(kind=kind, page_size=2, page_token=token)
        page = await stub.ListArtifacts(request)
        pages.append([manifest.artifact_id for manifest in page.manifests])
        token = page.next_page_token
        there.delete(ADAPTER, pages[-1][0])  # what was listed may go meanwhile
        if not token:
            break
    assert pages == [["a0", "a1"], ["a2", "a3"], ["a4"]]
