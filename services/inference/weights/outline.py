"""A model folder that is read before its weights are fetched.

Its small files are true, and so is the header of each weights file; the bytes behind the header are
a hole that takes no room. Whatever reads a model's folder reads it as if all were there.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.cluster.artifacts.disk_space import ensure_space, telling_full_disk
from services.cluster.errors import BadRequest, Unavailable
from services.cluster.records import ModelRecord
from services.inference.models.overrides import OVERRIDES, ModelOverrides
from services.inference.models.reading import check_config, read_model
from services.inference.weights.hub import Hub, HubFile, HubModel
from services.inference.weights.places import WeightsPlace, forget
from services.inference.weights.transfer import Patience, Transfer, patiently

_LENGTH_BYTES = 8  # a safetensors file begins with the length of its header
_FIRST_BYTES = 64 * 1024
_MAX_HEADER_BYTES = 100 * 1024 * 1024  # safetensors' own limit
_MAX_SMALL_BYTES = 512 * 1024 * 1024


class Outlines:
    def __init__(self, hub: Hub, patience: Patience) -> None:
        self._hub = hub
        self._patience = patience

    async def read(
        self, model: HubModel, place: WeightsPlace, overrides: ModelOverrides
    ) -> ModelRecord:
        """Raises BadRequest, with nothing left, when the model cannot be served.

        The small files stay on their way to `place`: a download takes them up. Weights that are
        whole are read themselves.
        """
        if place.is_whole:
            return await asyncio.to_thread(_read, model, place, place.whole, overrides)
        is_new = not place.part.exists()
        forget(place.outline)
        try:
            await self._build(model, place)
            return await asyncio.to_thread(_read, model, place, place.outline, overrides)
        except BaseException:
            if is_new:
                forget(place.part)
            raise
        finally:
            forget(place.outline)

    async def _build(self, model: HubModel, place: WeightsPlace) -> None:
        small_bytes = sum(file.size_bytes for file in model.small)
        if small_bytes > _MAX_SMALL_BYTES:
            raise BadRequest(f"{model.hub_id} has {small_bytes} bytes beside its weights.")
        ensure_space(place.part, small_bytes)
        with telling_full_disk(place.part):
            for file in model.small:
                here = place.part / file.path
                await Transfer(self._hub, model, file, here, _tell_nobody, self._patience).run()
                outlined = place.outline / file.path
                outlined.parent.mkdir(parents=True, exist_ok=True)
                os.link(here, outlined)
            with _named(model, place.outline):
                await asyncio.to_thread(check_config, place.outline)
            for file in model.weights:
                header = await self._header(model, file)
                outlined = place.outline / file.path
                outlined.parent.mkdir(parents=True, exist_ok=True)
                outlined.write_bytes(header)
                os.truncate(outlined, file.size_bytes)

    async def _header(self, model: HubModel, file: HubFile) -> bytes:
        """With the length before it. Raises BadRequest when there is none."""
        first = await patiently(lambda: self._bytes(model, file, 0, _FIRST_BYTES), self._patience)
        if len(first) < _LENGTH_BYTES:
            raise BadRequest(f"{file.path} of {model.hub_id} is not a whole safetensors file.")
        end = _LENGTH_BYTES + struct.unpack("<Q", first[:_LENGTH_BYTES])[0]
        if end > min(file.size_bytes, _MAX_HEADER_BYTES):
            raise BadRequest(
                f"{file.path} of {model.hub_id} is not a whole safetensors file: its header should"
                f" end at byte {end}, and it has {file.size_bytes}."
            )
        if end <= len(first):
            return first[:end]
        return first + await patiently(
            lambda: self._bytes(model, file, len(first), end - len(first)), self._patience
        )

    async def _bytes(self, model: HubModel, file: HubFile, start: int, count: int) -> bytes:
        count = min(count, file.size_bytes - start)
        last = start + count - 1
        found = bytearray()
        async with self._hub.stream(model, file.path, start, last) as response:
            skipped = start if response.status_code == 200 else 0
            async for data in response.aiter_raw():
                found += data
                if len(found) >= skipped + count:
                    break
        if len(found) < skipped + count:
            raise Unavailable(f"The connection to {self._hub.url} ended too early.")
        return bytes(found[skipped : skipped + count])


def _read(
    model: HubModel, place: WeightsPlace, folder: Path, overrides: ModelOverrides
) -> ModelRecord:
    with _named(model, folder):
        record = read_model(place.model, folder, origin="hub", overrides=overrides)
    return record.model_copy(
        update={
            "hub_id": model.hub_id,
            "commit": model.commit,
            "local_path": place.relative,
            "gated": bool(model.gated),
            "licence": record.licence or model.licence,
        }
    )


@contextmanager
def _named(model: HubModel, folder: Path) -> Iterator[None]:
    """A refusal speaks of the model, not of the folder that it is read in."""
    try:
        yield
    except BadRequest as error:
        message = error.message.replace(str(folder), f"{model.hub_id} on the hub")
        param = error.param if error.param in OVERRIDES else "hub_id"
        raise BadRequest(message, param=param) from error


def _tell_nobody(num_bytes: int, fetched: bool) -> None:
    """Small files are here in a moment."""
