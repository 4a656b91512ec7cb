"""All files of a model, fetched one after another into a folder that appears when it is whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from services.cluster import durable_files
from services.cluster.artifacts.disk_space import RESERVE_BYTES, ensure_space
from services.cluster.artifacts.manifest import ManifestFile
from services.cluster.errors import Conflict
from services.cluster.jobs.records import JobProgress
from services.inference.weights.hub import Hub, HubFile, HubModel
from services.inference.weights.pace import Pace
from services.inference.weights.places import WeightsPlace
from services.inference.weights.transfer import Patience, Transfer, patiently


class Download:
    """`tell` is called with every piece that has come."""

    def __init__(
        self,
        hub: Hub,
        tell: Callable[[JobProgress], None],
        *,
        patience: Patience,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        self._hub = hub
        self._tell = tell
        self._patience = patience
        self._reserve_bytes = reserve_bytes

    async def run(self, hub_id: str, place: WeightsPlace, guard: Callable[[], None]) -> int:
        """How many bytes the weights have. Cancelled, it keeps what is here.

        `guard` raises when the result is no longer this caller's to publish. Raises OutOfDisk
        before anything is fetched, and what Transfer and Hub raise.
        """
        model = await patiently(lambda: self._hub.describe(hub_id, place.commit), self._patience)
        if model.commit != place.commit:
            raise Conflict(f"The hub knows {hub_id} by commit {model.commit}, not {place.commit}.")
        arrived = await asyncio.to_thread(place.arrived_bytes)
        ensure_space(place.part, model.size_bytes - arrived, self._reserve_bytes)
        pace = Pace(model.size_bytes)
        for file in model.files:
            arrived_here = partial(self._came, pace, file)
            await Transfer(
                self._hub, model, file, place.part / file.path, arrived_here, self._patience
            ).run()
        files = await asyncio.to_thread(_described, model, place)
        guard()
        await asyncio.to_thread(place.publish, files)
        return model.size_bytes

    def _came(self, pace: Pace, file: HubFile, num_bytes: int, fetched: bool) -> None:
        pace.add(num_bytes, time.monotonic(), fetched=fetched)
        self._tell(pace.progress(file.path))


def _described(model: HubModel, place: WeightsPlace) -> list[ManifestFile]:
    return [
        ManifestFile(
            path=file.path,
            size_bytes=file.size_bytes,
            sha256=file.sha256 or durable_files.sha256_of(place.part / file.path),
        )
        for file in model.files
    ]
