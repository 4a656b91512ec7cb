"""Weights that are on this host, and how they and their models leave."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from services.cluster.errors import Conflict, ModelNotFound
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.inference.models.weight_files import is_model_folder
from services.inference.weights.downloads import FROM_HUB, Downloads, WeightsState, WeightsStatus
from services.inference.weights.places import delete_weights
from services.inference.weights.users import ModelUsers

_KEPT_HERE = FROM_HUB | {"upload"}  # in the data volume


class KeptWeights:
    """`known`: the catalogue, by name."""

    def __init__(
        self,
        registry: Registry,
        downloads: Downloads,
        users: ModelUsers,
        data_dir: Path,
        host_id: str,
        known: Mapping[str, ModelRecord],
    ) -> None:
        self._registry = registry
        self._downloads = downloads
        self._users = users
        self._data_dir = data_dir
        self._host_id = host_id
        self._known = known

    async def model(self, name: str) -> ModelRecord:
        """Added or known. Raises ModelNotFound."""
        model = (await self._registry.view()).models.get(name) or self._known.get(name)
        if model is None:
            raise ModelNotFound(f"There is no model {name[:200]} in the catalogue.")
        return model

    async def status(self, model: ModelRecord) -> WeightsStatus:
        if model.origin in _KEPT_HERE:
            return await self._downloads.status(model)
        present = bool(model.local_path) and await asyncio.to_thread(
            is_model_folder, model.folder(self._data_dir)
        )
        state = WeightsState.PRESENT if present else WeightsState.ABSENT
        return WeightsStatus(state, model.weights_bytes if present else 0, model.weights_bytes)

    async def delete(self, name: str) -> int:
        """How many bytes that freed. A model of the catalogue is as the catalogue has it again.

        Raises Conflict while they are used, naming by what.
        """
        model = await self.model(name)
        if model.origin not in _KEPT_HERE:
            where = "comes with Hearth" if model.origin == "starter" else "is not Hearth's folder"
            raise Conflict(f"The weights of {name} stay: {model.local_path} {where}.")
        if model.host_id not in ("", self._host_id):
            raise Conflict(f"The weights of {name} are on host {model.host_id}; ask its agent.")
        async with self._downloads.none_starts():
            await self._users.check_unused(model, "lose its weights")
            if model.origin == "upload" and name in self._known:
                await self._registry.put_model(self._known[name])
            return await self._forget(model)

    async def remove(self, name: str) -> None:
        """Takes the model out, with the weights that Hearth keeps of it.

        Raises ModelNotFound, and Conflict while something uses it or it is being downloaded.
        """
        model = await self.model(name)
        if model.origin == "starter":
            raise Conflict(f"{name} comes with Hearth and stays; delete its deployments instead.")
        async with self._downloads.none_starts():
            await self._users.check_unused(model, "be removed")
            if not await self._registry.delete_model(name):
                raise ModelNotFound(f"{name} was not added; it is known and takes no room.")
            if model.origin in _KEPT_HERE:
                await self._forget(model)

    async def _forget(self, model: ModelRecord) -> int:
        freed = await asyncio.to_thread(delete_weights, self._data_dir, model.name)
        await self._downloads.forget(model)
        return freed
