"""Weights that Hearth keeps on this host, in the data volume."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.cluster.errors import Conflict, ModelNotFound
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.inference.weights.downloads import Downloads
from services.inference.weights.places import delete_weights
from services.inference.weights.users import ModelUsers

_KEPT_HERE = ("hub", "upload")


class KeptWeights:
    def __init__(
        self,
        registry: Registry,
        downloads: Downloads,
        users: ModelUsers,
        data_dir: Path,
        host_id: str,
    ) -> None:
        self._registry = registry
        self._downloads = downloads
        self._users = users
        self._data_dir = data_dir
        self._host_id = host_id

    async def model(self, name: str) -> ModelRecord:
        """Raises ModelNotFound."""
        model = (await self._registry.view()).models.get(name)
        if model is None:
            raise ModelNotFound(f"There is no model {name[:200]} in the catalogue.")
        return model

    async def delete(self, name: str) -> int:
        """How many bytes that freed. Raises Conflict while they are used, naming by what."""
        model = await self.model(name)
        if model.origin not in _KEPT_HERE:
            where = "comes with Hearth" if model.origin == "starter" else "is not Hearth's folder"
            raise Conflict(f"The weights of {name} stay: {model.local_path} {where}.")
        if model.host_id not in ("", self._host_id):
            raise Conflict(f"The weights of {name} are on host {model.host_id}; ask its agent.")
        async with self._downloads.none_starts():
            await self._users.check_unused(model, "lose its weights")
            return await self._forget(model)

    async def removable(self, name: str) -> ModelRecord:
        """Raises ModelNotFound, and Conflict: it must have neither users nor a download."""
        model = await self.model(name)
        if model.origin in _KEPT_HERE:
            await self._users.check_unused(model, "be removed")
        return model

    async def forget_removed(self, model: ModelRecord) -> None:
        """After its record has gone: nothing names its weights any more."""
        if model.origin in _KEPT_HERE:
            await self._forget(model)

    async def _forget(self, model: ModelRecord) -> int:
        freed = await asyncio.to_thread(delete_weights, self._data_dir, model.name)
        await self._downloads.forget(model)
        return freed
