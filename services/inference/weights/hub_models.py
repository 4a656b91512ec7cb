"""Models by their hub id, judged before their weights are here."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.cluster.errors import Conflict
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.inference.models.overrides import ModelOverrides
from services.inference.weights.hub import Hub
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
            if existing and (existing.origin, existing.hub_id) != ("hub", hub_id):
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
            place = WeightsPlace(self._data_dir, name, model.commit)
            record = await self._outlines.read(model, place, overrides)
            record = record.model_copy(update={"revision": revision})
            await self._registry.put_model(record)
            await asyncio.to_thread(forget_others, place)
            return record
