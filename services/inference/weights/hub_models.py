"""Models by their hub id, judged before their weights are here."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.cluster.errors import Conflict, ModelNotFound
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.inference.models import catalogue
from services.inference.models.overrides import ModelOverrides
from services.inference.weights.downloads import FROM_HUB
from services.inference.weights.hub import Hub, HubModel
from services.inference.weights.outline import Outlines
from services.inference.weights.places import WeightsPlace, forget_others
from services.inference.weights.users import ModelUsers

AS_ITS_FILES_SAY = ModelOverrides()


class HubModels:
    def __init__(
        self,
        registry: Registry,
        hub: Hub,
        outlines: Outlines,
        users: ModelUsers,
        data_dir: Path,
    ) -> None:
        self._registry = registry
        self._hub = hub
        self._outlines = outlines
        self._users = users
        self._data_dir = data_dir
        self._adding = asyncio.Lock()

    async def add(
        self, name: str, hub_id: str, revision: str, overrides: ModelOverrides = AS_ITS_FILES_SAY
    ) -> ModelRecord:
        """Into the catalogue, without its weights.

        Added again it takes the commit that its revision has by now, and what is said of it now.
        Raises BadRequest for a model that cannot be served, Conflict when the name is taken, and
        what Hub raises.
        """
        async with self._adding:
            existing = (await self._registry.view()).models.get(name)
            if existing and (existing.origin not in FROM_HUB or existing.hub_id != hub_id):
                raise Conflict(
                    f"There is a model {name} already, from"
                    f" {existing.hub_id or existing.local_path or existing.origin}; remove it first"
                    " or choose another name."
                )
            model = await self._hub.describe(hub_id, revision)
            if existing and existing.commit != model.commit:
                await self._users.check_unused(existing, f"become commit {model.commit}")
            elif existing and existing.revision == revision and overrides == AS_ITS_FILES_SAY:
                return existing
            elif existing:
                await self._users.check_no_download(existing, "be read again")
            record = await self._read(name, model, overrides)
            return await self._put(record.model_copy(update={"revision": revision}))

    async def settle(self, name: str) -> ModelRecord:
        """A model of the catalogue as the hub has it now; another one stays as it is.

        Raises ModelNotFound when it was removed meanwhile, and what `add` raises.
        """
        async with self._adding:
            entry = (await self._registry.view()).models.get(name)
            if entry is None:
                raise ModelNotFound(f"{name} was removed.")
            if entry.origin != catalogue.ORIGIN:
                return entry
            model = await self._hub.describe(entry.hub_id, entry.revision)
            record = await self._read(name, model, AS_ITS_FILES_SAY)
            return await self._put(catalogue.as_offered(record, entry))

    async def _read(self, name: str, model: HubModel, overrides: ModelOverrides) -> ModelRecord:
        place = WeightsPlace(self._data_dir, name, model.commit)
        return await self._outlines.read(model, place, overrides)

    async def _put(self, record: ModelRecord) -> ModelRecord:
        await self._registry.put_model(record)
        await asyncio.to_thread(forget_others, WeightsPlace.of(self._data_dir, record))
        return record
