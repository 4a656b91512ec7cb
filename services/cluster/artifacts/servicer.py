"""The artifact store of this host, as other hosts and the gateway reach it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from services.cluster.artifacts.manifest import ArtifactKind, Manifest, safe_path
from services.cluster.artifacts.store import ArtifactStore, Draft, sha256_of
from services.cluster.errors import BadRequest, Unimplemented
from services.cluster.pb.v1 import artifacts_pb2 as pb
from services.cluster.pb.v1 import artifacts_pb2_grpc as rpc

_CHUNK_BYTES = 1024 * 1024
_PAGE_SIZE = 100

_KINDS = {
    pb.ARTIFACT_KIND_SOURCE: ArtifactKind.SOURCE,
    pb.ARTIFACT_KIND_DATASET: ArtifactKind.DATASET,
    pb.ARTIFACT_KIND_CHECKPOINT: ArtifactKind.CHECKPOINT,
    pb.ARTIFACT_KIND_ADAPTER: ArtifactKind.ADAPTER,
}
_KIND_NUMBERS = {kind: number for number, kind in _KINDS.items()}


class ArtifactsServicer(rpc.ArtifactsServicer):
    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    async def PutArtifact(
        self, requests: AsyncIterator[pb.PutArtifactRequest], context: object
    ) -> pb.ArtifactManifest:
        first = await anext(aiter(requests), None)
        if first is None or not first.HasField("manifest"):
            raise BadRequest("The first message of PutArtifact must be the manifest.")
        wanted = first.manifest
        with self._store.draft(_kind(wanted.kind), wanted.artifact_id) as draft:
            await _receive(draft, requests)
            return await asyncio.to_thread(self._publish, draft, wanted)

    def _publish(self, draft: Draft, wanted: pb.ArtifactManifest) -> pb.ArtifactManifest:
        for file in wanted.files:
            place = draft.folder / safe_path(file.path)
            if not place.is_file() or sha256_of(place) != file.sha256:
                raise BadRequest(f"{file.path} did not arrive whole; nothing was kept.")
        return _to_message(
            draft.publish(dict(wanted.labels), project_id=wanted.project_id, team_id=wanted.team_id)
        )

    async def GetUpload(self, request: pb.GetUploadRequest, context: object) -> pb.UploadState:
        raise Unimplemented("This host does not resume uploads; send the artifact again.")

    async def GetArtifact(
        self, request: pb.GetArtifactRequest, context: object
    ) -> AsyncIterator[pb.ArtifactChunk]:
        kind = _kind(request.kind)
        folder = self._store.path(kind, request.artifact_id)
        held = set(request.held_sha256)
        for file in self._store.manifest(kind, request.artifact_id).files:
            if file.sha256 not in held:
                async for chunk in _read(folder, file.path):
                    yield chunk

    async def GetManifest(
        self, request: pb.GetManifestRequest, context: object
    ) -> pb.ArtifactManifest:
        return _to_message(self._store.manifest(_kind(request.kind), request.artifact_id))

    async def DeleteArtifact(
        self, request: pb.DeleteArtifactRequest, context: object
    ) -> pb.DeleteArtifactResponse:
        await asyncio.to_thread(self._store.delete, _kind(request.kind), request.artifact_id)
        return pb.DeleteArtifactResponse()

    async def ListArtifacts(
        self, request: pb.ListArtifactsRequest, context: object
    ) -> pb.ListArtifactsResponse:
        manifests = await asyncio.to_thread(self._store.manifests, _kind(request.kind))
        start = int(request.page_token or 0) if (request.page_token or "0").isdigit() else -1
        if start < 0:
            raise BadRequest("page_token must come from the answer before.", param="page_token")
        size = min(request.page_size or _PAGE_SIZE, 10 * _PAGE_SIZE)
        page = manifests[start : start + size]
        more = start + size < len(manifests)
        return pb.ListArtifactsResponse(
            manifests=[_to_message(manifest) for manifest in page],
            next_page_token=str(start + size) if more else "",
        )


def _kind(number: pb.ArtifactKind.ValueType) -> ArtifactKind:
    if number not in _KINDS:
        raise BadRequest("kind must be a source, dataset, checkpoint or adapter.", param="kind")
    return _KINDS[number]


async def _receive(draft: Draft, requests: AsyncIterator[pb.PutArtifactRequest]) -> None:
    async for request in requests:
        chunk = request.chunk
        place = draft.file(chunk.path)
        await asyncio.to_thread(_append, place, chunk.offset_bytes, chunk.data)


def _append(place: Path, offset_bytes: int, data: bytes) -> None:
    size_bytes = place.stat().st_size if place.exists() else 0
    if size_bytes != offset_bytes:
        raise BadRequest(f"A chunk begins at byte {offset_bytes}; byte {size_bytes} is due.")
    with place.open("ab") as file:
        file.write(data)


async def _read(folder: Path, relative: str) -> AsyncIterator[pb.ArtifactChunk]:
    offset_bytes = 0
    with (folder / relative).open("rb") as file:
        while data := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield pb.ArtifactChunk(path=relative, offset_bytes=offset_bytes, data=data)
            offset_bytes += len(data)


def _to_message(manifest: Manifest) -> pb.ArtifactManifest:
    created_at = Timestamp()
    created_at.FromMicroseconds(int(manifest.created_at * 1e6))
    return pb.ArtifactManifest(
        schema_version=manifest.schema_version,
        kind=_KIND_NUMBERS[manifest.kind],
        artifact_id=manifest.artifact_id,
        project_id=manifest.project_id,
        team_id=manifest.team_id,
        files=[
            pb.ArtifactFile(path=file.path, size_bytes=file.size_bytes, sha256=file.sha256)
            for file in manifest.files
        ],
        labels=dict(manifest.labels),
        created_at=created_at,
    )
