"""Models by their hub id, judged before their weights are here."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.cluster.errors import Conflict, ModelNotFound
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.inference.models import catalogue
from services.inference.models.overrides import ModelOverrides
from services.inference.weights.downloads import FROM_HUB, Downloads
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
        downloads: Downloads,
        data_dir: Path,
    ) -> None:
        self._downloads = downloads
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
            is_known = existing and (existing.commit, existing.revision) == (model.commit, revision)
            if existing and is_known and overrides == AS_ITS_FILES_SAY:
                return existing
            await self._check_free(existing, model)
            try:
                record = await self._read(name, model, overrides)
            except FileNotFoundError:  # who put another model there took its files away
                await self._check_same(name, existing)
                raise
            async with self._downloads.none_starts():
                try:
                    await self._check_same(name, existing)  # reading took a while
                    await self._check_free(existing, model)
                except Conflict:
                    self._discard(name, model, existing)
                    raise
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

    async def _check_free(self, existing: ModelRecord | None, model: HubModel) -> None:
        """Raises Conflict while something uses what would be replaced."""
        if existing and existing.commit != model.commit:
            await self._users.check_unused(existing, f"become commit {model.commit}")
        elif existing:
            await self._users.check_no_download(existing, "be read again")

    async def _check_same(self, name: str, existing: ModelRecord | None) -> None:
        if (await self._registry.view()).models.get(name) != existing:
            raise Conflict(f"{name} was changed by somebody else while it was read; look at it.")

    def _discard(self, name: str, model: HubModel, existing: ModelRecord | None) -> None:
        """What was fetched to read it, unless it belongs to a download."""
        if existing is None or existing.commit != model.commit:
            WeightsPlace(self._data_dir, name, model.commit).discard()

    async def _read(self, name: str, model: HubModel, overrides: ModelOverrides) -> ModelRecord:
        place = WeightsPlace(self._data_dir, name, model.commit)
        return await self._outlines.read(model, place, overrides)

    async def _put(self, record: ModelRecord) -> ModelRecord:
        await self._registry.put_model(record)
        await asyncio.to_thread(forget_others, WeightsPlace.of(self._data_dir, record))
        return record
