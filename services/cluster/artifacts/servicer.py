"""The artifact store of this host, as other hosts and the gateway reach it."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator

from services.cluster.artifacts.disk_space import RESERVE_BYTES, ensure_space
from services.cluster.artifacts.incoming import Incoming
from services.cluster.artifacts.manifest import ArtifactKind, Manifest, ManifestFile
from services.cluster.artifacts.messages import (
    file_messages,
    files_of,
    kind_of,
    manifest_message,
    manifest_of,
)
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.artifacts.transfer import read_chunks
from services.cluster.errors import BadRequest, DeadlineExceeded, NotFound
from services.cluster.pb.v1 import artifacts_pb2 as pb
from services.cluster.pb.v1 import artifacts_pb2_grpc as rpc
from services.cluster.tasks import finished

_PAGE_SIZE = 100
_SILENCE_SECONDS = 60.0


class ArtifactsServicer(rpc.ArtifactsServicer):
    """`reserve_bytes` stay free on the volume; a sender that is silent for so long is given up."""

    def __init__(
        self,
        store: ArtifactStore,
        *,
        reserve_bytes: int = RESERVE_BYTES,
        silence_seconds: float = _SILENCE_SECONDS,
    ) -> None:
        self._store = store
        self._reserve_bytes = reserve_bytes
        self._silence_seconds = silence_seconds

    async def PutArtifact(
        self, requests: AsyncIterator[pb.PutArtifactRequest], context: object
    ) -> pb.ArtifactManifest:
        first = await self._next(requests)
        if first is None or not first.HasField("manifest"):
            raise BadRequest("The first message of PutArtifact must be the manifest.")
        wanted = manifest_of(first.manifest)
        incoming = Incoming(self._store, wanted.kind, wanted.artifact_id, wanted.files)
        with incoming.held():
            existing = await finished(incoming.existing)
            if existing is not None:
                incoming.discard()
                return manifest_message(existing)
            ensure_space(self._store.root, incoming.missing_bytes(), self._reserve_bytes)
            while (request := await self._next(requests)) is not None:
                chunk = request.chunk
                await finished(incoming.write, chunk.path, chunk.offset_bytes, chunk.data)
            published = await finished(
                incoming.publish,
                wanted.labels,
                project_id=wanted.project_id,
                team_id=wanted.team_id,
            )
        return manifest_message(published)

    async def GetUpload(self, request: pb.GetUploadRequest, context: object) -> pb.UploadState:
        kind, files = kind_of(request.kind), files_of(request.files)
        incoming = Incoming(self._store, kind, request.artifact_id, files)
        return pb.UploadState(files=file_messages(await asyncio.to_thread(incoming.arrived)))

    async def GetArtifact(
        self, request: pb.GetArtifactRequest, context: object
    ) -> AsyncIterator[pb.ArtifactChunk]:
        kind = kind_of(request.kind)
        folder = self._store.path(kind, request.artifact_id)
        manifest = await asyncio.to_thread(self._store.manifest, kind, request.artifact_id)
        for file, offset_bytes in _to_send(manifest, request):
            try:
                async for chunk in read_chunks(folder, file.path, offset_bytes):
                    yield chunk
            except FileNotFoundError:
                raise NotFound(
                    f"The artifact {kind.value}/{request.artifact_id} was deleted meanwhile."
                ) from None

    async def GetManifest(
        self, request: pb.GetManifestRequest, context: object
    ) -> pb.ArtifactManifest:
        manifest = await asyncio.to_thread(
            self._store.manifest, kind_of(request.kind), request.artifact_id
        )
        return manifest_message(manifest)

    async def DeleteArtifact(
        self, request: pb.DeleteArtifactRequest, context: object
    ) -> pb.DeleteArtifactResponse:
        await asyncio.to_thread(self._store.delete, kind_of(request.kind), request.artifact_id)
        return pb.DeleteArtifactResponse()

    async def ListArtifacts(
        self, request: pb.ListArtifactsRequest, context: object
    ) -> pb.ListArtifactsResponse:
        if request.page_size < 0:
            raise BadRequest("page_size must not be negative.", param="page_size")
        size = min(request.page_size or _PAGE_SIZE, 10 * _PAGE_SIZE)
        kind = kind_of(request.kind)
        return await asyncio.to_thread(self._page, kind, request.page_token, size)

    def _page(self, kind: ArtifactKind, after: str, size: int) -> pb.ListArtifactsResponse:
        """Manifests of the page only are read; its token is the last id before it."""
        ids = self._store.ids(kind)
        start = bisect_right(ids, after)
        page = ids[start : start + size]
        more = start + size < len(ids)
        return pb.ListArtifactsResponse(
            manifests=[manifest_message(m) for m in self._store.manifests(kind, page)],
            next_page_token=page[-1] if more else "",
        )

    async def _next(
        self, requests: AsyncIterator[pb.PutArtifactRequest]
    ) -> pb.PutArtifactRequest | None:
        try:
            async with asyncio.timeout(self._silence_seconds):
                return await anext(aiter(requests), None)
        except TimeoutError:
            raise DeadlineExceeded(
                f"The sender was silent for {self._silence_seconds:g} s; what arrived is kept."
                " Go on from there."
            ) from None


def _to_send(
    manifest: Manifest, request: pb.GetArtifactRequest
) -> Iterator[tuple[ManifestFile, int]]:
    """Files that the caller lacks, each with the byte that it lacks first."""
    held_sha256, held_bytes = set(request.held_sha256), dict(request.held_bytes)
    sizes = {file.path: file.size_bytes for file in manifest.files}
    for path, num_bytes in held_bytes.items():
        if num_bytes > sizes.get(path, 0):
            raise BadRequest(
                f"{path} has {sizes.get(path, 0)} bytes; nobody can hold {num_bytes} of it.",
                param="held_bytes",
            )
    for file in manifest.files:
        offset_bytes = held_bytes.get(file.path, 0)
        if file.sha256 not in held_sha256 and offset_bytes < file.size_bytes:
            yield file, offset_bytes
