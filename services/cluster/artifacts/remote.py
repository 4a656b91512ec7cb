"""The artifact store of another host. Transfers go on where they were broken off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import grpc
import grpc.aio

from services.cluster.artifacts.disk_space import RESERVE_BYTES, ensure_space
from services.cluster.artifacts.incoming import Incoming
from services.cluster.artifacts.manifest import ArtifactKind, Manifest
from services.cluster.artifacts.messages import (
    KIND_NUMBERS,
    file_messages,
    files_of,
    manifest_message,
    manifest_of,
)
from services.cluster.artifacts.store import ArtifactStore, describe
from services.cluster.artifacts.transfer import read_chunks
from services.cluster.errors import BadRequest, HearthError, Unavailable
from services.cluster.pb.v1 import artifacts_pb2 as pb
from services.cluster.pb.v1 import artifacts_pb2_grpc as rpc
from services.cluster.rpc import translate_rpc_error
from services.cluster.tasks import finished

# Called with the bytes that are there and the bytes there are to be.
Progress = Callable[[int, int], None]
T = TypeVar("T")

_NUM_TRIES = 20  # without a byte more; about half a minute, in which a head is started again
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_ANSWER_SECONDS = 30.0
_BROKEN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
    }
)


class RemoteArtifacts:
    """Every method raises Unavailable when the host stays away, and what the host answers.

    `reserve_bytes` stay free where artifacts are fetched to.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        num_tries: int = _NUM_TRIES,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        self._stub: rpc.ArtifactsAsyncStub = rpc.ArtifactsStub(channel)
        self._num_tries = num_tries
        self._reserve_bytes = reserve_bytes

    async def manifest(self, kind: ArtifactKind, artifact_id: str) -> Manifest:
        """Raises NotFound."""
        request = pb.GetManifestRequest(kind=KIND_NUMBERS[kind], artifact_id=artifact_id)
        return manifest_of(await _answer(self._stub.GetManifest(request, timeout=_ANSWER_SECONDS)))

    async def put(
        self, folder: Path, manifest: Manifest, progress: Progress | None = None
    ) -> Manifest:
        """Sends the files of the manifest from a folder; the artifact as the host has it then.

        Raises Conflict when it is there with other files, and OutOfDisk.
        """
        tries = _Tries(self._num_tries)
        while True:
            try:
                held = await self._held_there(manifest)
                tries.note(sum(held.values()))
                return await self._send(folder, manifest, held, progress)
            except (Unavailable, BadRequest) as error:
                await tries.pause(error)

    async def put_folder(
        self,
        folder: Path,
        kind: ArtifactKind,
        artifact_id: str,
        labels: Mapping[str, str] | None = None,
        *,
        project_id: str = "",
        team_id: str = "",
        progress: Progress | None = None,
    ) -> Manifest:
        """Makes an artifact there of a folder here. Raises what `put` does."""
        manifest = Manifest(
            kind=kind,
            artifact_id=artifact_id,
            project_id=project_id,
            team_id=team_id,
            files=await asyncio.to_thread(describe, folder),
            labels=dict(labels or {}),
            created_at=0,
        )
        return await self.put(folder, manifest, progress)

    async def fetch(
        self,
        kind: ArtifactKind,
        artifact_id: str,
        store: ArtifactStore,
        progress: Progress | None = None,
    ) -> Manifest:
        """Makes the artifact in the store of this host, each file checked by its SHA-256.

        While another process of this host fetches the same, this one waits for it. Raises
        NotFound, and OutOfDisk before a byte comes when there is no room for them.
        """
        tries = _Tries(self._num_tries)
        while True:
            try:
                manifest = await self.manifest(kind, artifact_id)
                incoming = Incoming(store, kind, artifact_id, manifest.files)
                tries.note(await asyncio.to_thread(incoming.arrived_bytes))
                return await self._receive(incoming, manifest, store, progress)
            except (Unavailable, BadRequest) as error:
                await tries.pause(error)

    async def _held_there(self, manifest: Manifest) -> dict[str, int]:
        request = pb.GetUploadRequest(
            kind=KIND_NUMBERS[manifest.kind],
            artifact_id=manifest.artifact_id,
            files=file_messages(manifest.files),
        )
        state = await _answer(self._stub.GetUpload(request, timeout=_ANSWER_SECONDS))
        return {file.path: file.size_bytes for file in files_of(state.files)}

    async def _send(
        self,
        folder: Path,
        manifest: Manifest,
        held: Mapping[str, int],
        progress: Progress | None,
    ) -> Manifest:
        done_bytes = sum(held.values())

        async def requests() -> AsyncIterator[pb.PutArtifactRequest]:
            nonlocal done_bytes
            yield pb.PutArtifactRequest(manifest=manifest_message(manifest))
            for file in manifest.files:
                async for chunk in read_chunks(folder, file.path, held.get(file.path, 0)):
                    yield pb.PutArtifactRequest(chunk=chunk)
                    done_bytes += len(chunk.data)
                    if progress:
                        progress(done_bytes, manifest.size_bytes)

        answer = manifest_of(await _answer(self._stub.PutArtifact(requests())))
        if progress:
            progress(manifest.size_bytes, manifest.size_bytes)
        return answer

    async def _receive(
        self,
        incoming: Incoming,
        manifest: Manifest,
        store: ArtifactStore,
        progress: Progress | None,
    ) -> Manifest:
        with incoming.held():
            existing = await finished(incoming.existing)
            if existing is not None:
                incoming.discard()
                return existing
            ensure_space(store.root, incoming.missing_bytes(), self._reserve_bytes)
            held = {file.path: file.size_bytes for file in incoming.arrived()}
            done_bytes = sum(held.values())
            request = pb.GetArtifactRequest(
                kind=KIND_NUMBERS[manifest.kind],
                artifact_id=manifest.artifact_id,
                held_bytes=held,
            )
            async for chunk in _stream(self._stub.GetArtifact(request)):
                await finished(incoming.write, chunk.path, chunk.offset_bytes, chunk.data)
                done_bytes += len(chunk.data)
                if progress:
                    progress(done_bytes, manifest.size_bytes)
            return await finished(
                incoming.publish,
                manifest.labels,
                project_id=manifest.project_id,
                team_id=manifest.team_id,
            )


class _Tries:
    """Goes on as long as bytes come, and for a few tries without any."""

    def __init__(self, num_tries: int) -> None:
        self._num_tries = num_tries
        self._num_left = num_tries
        self._most_bytes = -1
        self._num_refused = 0

    def note(self, num_bytes: int) -> None:
        if num_bytes > self._most_bytes:
            self._most_bytes, self._num_left = num_bytes, self._num_tries

    async def pause(self, error: HearthError) -> None:
        """Raises the error when it was the last try.

        Bytes that a fall of the other side damaged are refused once and then sent anew.
        """
        self._num_left -= 1
        self._num_refused += isinstance(error, BadRequest)
        if self._num_left <= 0 or self._num_refused > 1:
            raise error
        tried = self._num_tries - self._num_left - 1
        await asyncio.sleep(min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**tried))


async def _answer(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise _translated(error) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # grpc does that to its own call when the other side ends it in the midst of a message.
        raise Unavailable(
            "The transfer was broken off by the other side; it is tried again."
        ) from None


async def _stream(call: AsyncIterable[T]) -> AsyncIterator[T]:
    try:
        async for message in call:
            yield message
    except grpc.aio.AioRpcError as error:
        raise _translated(error) from error


def _translated(error: grpc.aio.AioRpcError) -> HearthError:
    """A connection that broke, in whatever way, is Unavailable.

    One that breaks while a message is sent is INTERNAL, which no servicer has said then: what a
    servicer raises has the error's code in the trailing metadata.
    """
    found = translate_rpc_error(error)
    local = error.code() is grpc.StatusCode.INTERNAL and not error.trailing_metadata()
    if (local or error.code() in _BROKEN) and not isinstance(found, Unavailable):
        return Unavailable(f"The transfer was broken off: {found.message}")
    return found
