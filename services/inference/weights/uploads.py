"""Weights that come as an archive, for hosts that reach no hub: all of it is taken or nothing."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from services.cluster.artifacts.disk_space import ensure_space, telling_full_disk
from services.cluster.artifacts.manifest import ManifestFile
from services.cluster.errors import BadRequest, Conflict, DeadlineExceeded, PayloadTooLarge
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.cluster.tasks import to_its_end
from services.inference.models.catalogue import as_offered
from services.inference.models.overrides import OVERRIDES, ModelOverrides
from services.inference.models.reading import read_model
from services.inference.weights.archive import unpack
from services.inference.weights.downloads import FROM_HUB, Downloads
from services.inference.weights.hub_models import AS_ITS_FILES_SAY
from services.inference.weights.places import WeightsPlace, forget, forget_others, upload_folder
from services.inference.weights.users import ModelUsers

_REPLACEABLE = FROM_HUB | {"upload"}
_MAX_CHUNK_BYTES = 1024 * 1024
_SILENT_SECONDS = 60.0
_DIGEST_DIGITS = 12


class _GivenUp(Exception):
    """The caller went away while the archive was unpacked."""


class Uploads:
    """`known`: the catalogue, by name; an upload may be the weights of such a model."""

    def __init__(
        self,
        registry: Registry,
        downloads: Downloads,
        users: ModelUsers,
        data_dir: Path,
        host_id: str,
        max_bytes: int,
        known: Mapping[str, ModelRecord],
    ) -> None:
        self._registry = registry
        self._downloads = downloads
        self._users = users
        self._data_dir = data_dir
        self._host_id = host_id
        self._max_bytes = max_bytes
        self._known = known

    async def take(
        self,
        name: str,
        chunks: AsyncIterator[bytes],
        overrides: ModelOverrides = AS_ITS_FILES_SAY,
    ) -> ModelRecord:
        """The model, in the catalogue. Raises BadRequest, Conflict, PayloadTooLarge, OutOfDisk."""
        await self._check_free(name)
        folder = upload_folder(self._data_dir, secrets.token_hex(6))
        archive, unpacked = folder / "archive", folder / "files"
        try:
            with telling_full_disk(folder):
                unpacked.mkdir(parents=True)
            await self._receive(archive, chunks)
            files = await self._unpack(archive, unpacked)
            archive.unlink()
            record = await asyncio.to_thread(self._read, name, unpacked, overrides)
            return await self._publish(record, files, unpacked)
        finally:
            await asyncio.to_thread(forget, folder)

    async def _publish(
        self, record: ModelRecord, files: Sequence[ManifestFile], unpacked: Path
    ) -> ModelRecord:
        place = WeightsPlace(self._data_dir, record.name, _commit(files))
        async with self._downloads.none_starts():
            await self._check_free(record.name)  # it took a while to come here
            await asyncio.to_thread(place.publish, files, unpacked)
            record = record.model_copy(
                update={"local_path": place.relative, "commit": place.commit, "origin": "upload"}
            )
            await self._registry.put_model(record)
            await asyncio.to_thread(forget_others, place)
        return record

    async def _check_free(self, name: str) -> None:
        """Raises Conflict when the model may not be replaced."""
        existing = (await self._registry.view()).models.get(name)
        if existing is None:
            return
        if existing.origin not in _REPLACEABLE:
            raise Conflict(
                f"There is a model {name} already, from {existing.local_path}; remove it first or"
                " choose another name."
            )
        await self._users.check_unused(existing, "get other weights")

    async def _receive(self, archive: Path, chunks: AsyncIterator[bytes]) -> None:
        num_bytes = 0
        with archive.open("wb") as file, telling_full_disk(archive):
            while (chunk := await _next(chunks)) is not None:
                if len(chunk) > _MAX_CHUNK_BYTES:
                    raise BadRequest("A chunk has at most 1 MiB.")
                num_bytes += len(chunk)
                if num_bytes > self._max_bytes:
                    raise PayloadTooLarge(
                        f"An upload of weights may have {self._max_bytes} bytes"
                        " (HEARTH_MAX_WEIGHTS_BYTES)."
                    )
                ensure_space(archive, len(chunk))
                await asyncio.to_thread(file.write, chunk)
        if not num_bytes:
            raise BadRequest("The archive is empty.")

    async def _unpack(self, archive: Path, target: Path) -> list[ManifestFile]:
        given_up = threading.Event()

        def check() -> None:
            if given_up.is_set():
                raise _GivenUp

        work = asyncio.to_thread(unpack, archive, target, self._max_bytes, check)
        return await to_its_end(asyncio.create_task(work), given_up.set)

    def _read(self, name: str, folder: Path, overrides: ModelOverrides) -> ModelRecord:
        try:
            record = read_model(
                name, folder, origin="upload", host_id=self._host_id, overrides=overrides
            )
        except BadRequest as error:
            told = error.message.replace(str(folder), "The archive")
            param = error.param if error.param in OVERRIDES else None
            raise BadRequest(told, param=param) from error
        entry = self._known.get(name)
        return as_offered(record, entry) if entry else record


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    try:
        async with asyncio.timeout(_SILENT_SECONDS):
            return await anext(chunks, None)
    except TimeoutError:
        raise DeadlineExceeded(f"The upload was silent for {_SILENT_SECONDS:g} s.") from None


def _commit(files: Sequence[ManifestFile]) -> str:
    """The same for the same files."""
    content = "".join(f"{file.path}\n{file.sha256}\n" for file in files)
    return f"upload-{hashlib.sha256(content.encode()).hexdigest()[:_DIGEST_DIGITS]}"
