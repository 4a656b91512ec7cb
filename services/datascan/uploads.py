"""An archive or a file as it comes in: whole and readable, or nothing is kept."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import (
    BadRequest,
    Conflict,
    DeadlineExceeded,
    NotFound,
    OutOfDisk,
    PayloadTooLarge,
    StoreUnavailable,
)
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.cluster.project_records import SourceKind, SourceRecord
from services.cluster.projects import Projects
from services.cluster.sources import Sources
from services.datascan import readers, specs
from services.datascan.settings import DatascanSettings

log = logging.getLogger(__name__)

CONTENT = "content"  # the only file of the artifact: a user's file name is never used as a path
_MAX_CHUNK_BYTES = 1024 * 1024
_MAX_NAME_BYTES = 255
_MAX_KEY_CHARS = 64


@dataclass(frozen=True)
class _Received:
    sha256: str
    size_bytes: int
    num_entries: int


class Uploads:
    def __init__(
        self,
        settings: DatascanSettings,
        projects: Projects,
        sources: Sources,
        artifacts: ArtifactStore,
    ) -> None:
        self._settings = settings
        self._projects = projects
        self._sources = sources
        self._artifacts = artifacts

    async def take(self, requests: AsyncIterator[pb.UploadSourceRequest]) -> SourceRecord:
        """The source, recorded; the same one again for the same idempotency key."""
        first = await self._next(requests)
        if first is None or not first.HasField("header"):
            raise BadRequest("The first message of UploadSource must be the header.")
        header = first.header
        self._check(header)
        project = (await self._projects.get(header.project_id)).project
        key = header.idempotency_key
        if key and (known := await self._sources.of_key(project.project_id, key)):
            return known
        replaced = await self._replaced(header)
        if not replaced:
            await self._check_free(header)
        source_id = replaced.source_id if replaced else f"source-{uuid.uuid4().hex[:12]}"
        artifact_id = f"{source_id}-{uuid.uuid4().hex[:8]}"
        now = time.time()
        with self._artifacts.draft(ArtifactKind.SOURCE, artifact_id) as draft:
            received = await self._receive(header, requests, draft.file(CONTENT))
            source = SourceRecord(
                source_id=source_id,
                project_id=project.project_id,
                team_id=project.team_id,
                kind=_kind(header.file_name),
                name=replaced.name if replaced else await self._name(header),
                split=replaced.split if replaced else specs.source_split(header.spec),
                artifact_id=artifact_id,
                file_name=header.file_name,
                size_bytes=received.size_bytes,
                sha256=received.sha256,
                num_entries=received.num_entries,
                created_at=replaced.created_at if replaced else now,
                fetched_at=now,
            )
            with _full_disk():
                await asyncio.to_thread(
                    draft.publish, project_id=project.project_id, team_id=project.team_id
                )
        return await self._record(source, key, replaces=replaced is not None)

    async def _record(self, source: SourceRecord, key: str, *, replaces: bool) -> SourceRecord:
        """Raises NotFound when the source to be replaced was deleted meanwhile.

        The bytes of a source that was not recorded are deleted, as those that it replaced; none
        are when Redis did not say which of the two became of it.
        """
        artifact_ids = {source.artifact_id}

        def replace(current: SourceRecord) -> SourceRecord:
            artifact_ids.add(current.artifact_id)
            return source.model_copy(update={"name": current.name, "split": current.split})

        try:
            if replaces:
                recorded = await self._sources.change(source.source_id, replace, key)
            else:
                recorded = await self._sources.add(source, key)
        except (NotFound, Conflict):
            await self._delete_unnamed(source.source_id, artifact_ids)
            raise
        await self._delete_unnamed(source.source_id, artifact_ids)
        return recorded

    async def _delete_unnamed(self, source_id: str, artifact_ids: set[str]) -> None:
        """Deletes the bytes that the record of the source, as it is now, does not name."""
        try:
            named = {(await self._sources.get(source_id)).artifact_id}
        except NotFound:
            named = set()
        except StoreUnavailable:
            log.warning("bytes of a source are kept", extra={"artifacts": sorted(artifact_ids)})
            return
        for artifact_id in artifact_ids - named:
            await asyncio.to_thread(delete_content, self._artifacts, artifact_id)

    def _check(self, header: pb.UploadSourceHeader) -> None:
        """Everything that can be refused before a byte is read."""
        if not header.file_name or len(header.file_name.encode()) > _MAX_NAME_BYTES:
            raise BadRequest("file_name must have 1 to 255 bytes.", param="file_name")
        if header.spec.WhichOneof("origin") or header.spec.refresh_interval_seconds:
            raise BadRequest("An upload has no origin and is not refreshed.", param="spec")
        if len(header.idempotency_key) > _MAX_KEY_CHARS:
            raise BadRequest(
                f"idempotency_key must have at most {_MAX_KEY_CHARS} characters.",
                param="idempotency_key",
            )
        readers.ending(header.file_name)
        specs.source_split(header.spec)
        if header.spec.name:
            specs.checked_name(header.spec.name)
        self._check_size(header.total_bytes)

    async def _check_free(self, header: pb.UploadSourceHeader) -> None:
        """Said before all the bytes have come; `add` decides."""
        taken = {source.name for source, _ in await self._sources.all(header.project_id)}
        if header.spec.name in taken:
            raise Conflict(
                f"The project has a source named {header.spec.name} already; choose another name."
            )

    def _check_size(self, num_bytes: int) -> None:
        limit = self._settings.max_source_bytes
        if num_bytes > limit:
            raise PayloadTooLarge(
                f"A source may have {limit} bytes; upload it in parts, or raise"
                " HEARTH_MAX_SOURCE_BYTES."
            )

    async def _replaced(self, header: pb.UploadSourceHeader) -> SourceRecord | None:
        if not header.replaced_source_id:
            return None
        replaced = await self._sources.get(header.replaced_source_id)
        if replaced.project_id != header.project_id:
            raise NotFound(f"There is no source {header.replaced_source_id} in this project.")
        return replaced

    async def _name(self, header: pb.UploadSourceHeader) -> str:
        if header.spec.name:
            return header.spec.name
        taken = {source.name for source, _ in await self._sources.all(header.project_id)}
        return specs.name_from(header.file_name, taken)

    async def _next(
        self, requests: AsyncIterator[pb.UploadSourceRequest]
    ) -> pb.UploadSourceRequest | None:
        seconds = self._settings.upload_seconds
        try:
            async with asyncio.timeout(seconds):
                return await anext(aiter(requests), None)
        except TimeoutError:
            raise DeadlineExceeded(f"The upload was silent for {seconds:g} s.") from None

    async def _receive(
        self,
        header: pb.UploadSourceHeader,
        requests: AsyncIterator[pb.UploadSourceRequest],
        place: Path,
    ) -> _Received:
        sha256, size_bytes = hashlib.sha256(), 0
        with place.open("wb") as file, _full_disk():
            while (request := await self._next(requests)) is not None:
                chunk = request.chunk
                if not request.HasField("chunk") or len(chunk) > _MAX_CHUNK_BYTES:
                    raise BadRequest("After the header come chunks of at most 1 MiB.")
                size_bytes += len(chunk)
                self._check_size(size_bytes)
                sha256.update(chunk)
                await asyncio.to_thread(file.write, chunk)
        if header.total_bytes and size_bytes != header.total_bytes:
            raise BadRequest(
                f"{header.total_bytes} bytes were announced and {size_bytes} came; nothing was"
                " kept. Upload it again."
            )
        if header.sha256 and header.sha256 != sha256.hexdigest():
            raise BadRequest("The bytes do not match sha256; nothing was kept. Upload it again.")
        if size_bytes == 0:
            raise BadRequest(f"{header.file_name} is empty.")
        num_entries = await asyncio.to_thread(self._num_entries, place, header.file_name)
        return _Received(sha256.hexdigest(), size_bytes, num_entries)

    def _num_entries(self, place: Path, file_name: str) -> int:
        """Reads through the archive. Raises BadRequest for one that is broken or has no file."""
        limits = readers.ReadLimits(
            max_file_bytes=0,
            max_files=self._settings.max_source_files,
            max_unpacked_bytes=self._settings.max_unpacked_bytes,
        )
        num_entries = sum(1 for _ in readers.read(place, file_name, limits))
        if not num_entries:
            raise BadRequest(f"{file_name} has no file in it.")
        return num_entries


def delete_content(artifacts: ArtifactStore, artifact_id: str) -> None:
    """The uploaded bytes of a source. None there is what was wanted."""
    with contextlib.suppress(NotFound):
        artifacts.delete(ArtifactKind.SOURCE, artifact_id)


@contextmanager
def _full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OutOfDisk(
            "The data volume is full; nothing was kept. Make room and upload it again."
        ) from error


def _kind(file_name: str) -> SourceKind:
    return SourceKind.ARCHIVE if readers.ending(file_name) else SourceKind.FILE
