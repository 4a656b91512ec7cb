"""The models that may be deployed: the starter, known ones, and those that somebody added."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

from services.cluster.errors import BadRequest, Conflict, StoreUnavailable
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.inference.models.catalogue import offered
from services.inference.models.names import check_model_name
from services.inference.models.overrides import ModelOverrides
from services.inference.models.reading import read_model

log = logging.getLogger(__name__)

STARTER = "hearth/starter-coder"
STARTER_FOLDER = Path(__file__).parents[1] / "starter"
_LOOK_AGAIN_SECONDS = 5.0


class Catalogue:
    """`known`: models that may be deployed without being added, by name.

    `absences`: by name why a model that comes with Hearth is not there, as a sentence.
    """

    def __init__(
        self,
        registry: Registry,
        host_id: str,
        starter: Path = STARTER_FOLDER,
        known: Mapping[str, ModelRecord] | None = None,
    ) -> None:
        self._registry = registry
        self._host_id = host_id
        self._starter = starter
        self._known = known or {}
        self.absences: dict[str, str] = {}

    async def register_starter(self) -> ModelRecord | None:
        """None when its folder is not whole; the reason is in `absences` then."""
        try:
            # Every host has it: it comes with the program.
            record = await asyncio.to_thread(read_model, STARTER, self._starter, origin="starter")
        except BadRequest as problem:
            reason = f"The starter model is not there: {problem.message}"
            if self.absences.get(STARTER) != reason:
                log.warning("no starter model", extra={"reason": reason})
            self.absences[STARTER] = reason
            return None
        self.absences.pop(STARTER, None)
        if (await self._registry.view()).models.get(STARTER) != record:
            await self._registry.put_model(record)
            log.info("starter model registered", extra={"num_parameters": record.num_parameters})
        return record

    async def await_starter(self) -> None:
        """Returns when the starter model is registered: its folder may come later."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                if await self.register_starter():
                    return
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def models(self) -> list[ModelRecord]:
        """Those that were added, then those that are known."""
        return list(offered(self._known, (await self._registry.view()).models).values())

    async def add(
        self, name: str, local_path: str, overrides: ModelOverrides | None = None
    ) -> ModelRecord:
        """A model folder of this host. Raises BadRequest, or Conflict when the name is taken."""
        folder = Path(local_path)
        if not folder.is_absolute():
            raise BadRequest(
                f"local_path must be an absolute path on the agent's host, not {local_path!r}.",
                param="local_path",
            )
        name = name or folder.name
        check_model_name(name)
        if name == STARTER:
            raise Conflict(f"{STARTER} is the name of the model that comes with Hearth.")
        record = await asyncio.to_thread(self._read, name, folder, overrides)
        view = await self._registry.view()
        existing = view.models.get(name)
        if existing and (existing.local_path, existing.host_id) != (str(folder), self._host_id):
            raise Conflict(
                f"There is a model {name} already, from {existing.local_path or existing.hub_id};"
                " remove it first or choose another name."
            )
        await self._registry.put_model(record)
        return record

    def _read(self, name: str, folder: Path, overrides: ModelOverrides | None) -> ModelRecord:
        try:
            return read_model(
                name, folder, origin="local", host_id=self._host_id, overrides=overrides
            )
        except OSError as error:
            raise BadRequest(
                f"{folder} cannot be read: {error.strerror or error}. The user that Hearth runs as"
                " must be able to read the folder and its files.",
                param="local_path",
            ) from error
