"""The models that may be deployed: the starter model, and folders that an administrator named."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Collection
from pathlib import Path

from services.cluster.errors import BadRequest, Conflict, ModelNotFound, StoreUnavailable
from services.cluster.records import DeploymentRecord, ModelRecord
from services.cluster.registry import Registry
from services.inference.models.reading import read_model

log = logging.getLogger(__name__)

STARTER = "hearth/starter-coder"
STARTER_FOLDER = Path(__file__).parents[1] / "starter"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_MAX_NAME = 200
_LOOK_AGAIN_SECONDS = 5.0


class Catalogue:
    """`absences`: by name why a model that comes with Hearth is not there, as a sentence."""

    def __init__(self, registry: Registry, host_id: str, starter: Path = STARTER_FOLDER) -> None:
        self._registry = registry
        self._host_id = host_id
        self._starter = starter
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

    async def add(self, name: str, local_path: str) -> ModelRecord:
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
        record = await asyncio.to_thread(
            read_model, name, folder, origin="local", host_id=self._host_id
        )
        view = await self._registry.view()
        existing = view.models.get(name)
        if existing and (existing.local_path, existing.host_id) != (str(folder), self._host_id):
            raise Conflict(
                f"There is a model {name} already, from {existing.local_path or existing.hub_id};"
                " remove it first or choose another name."
            )
        await self._registry.put_model(record)
        return record

    async def remove(self, name: str) -> None:
        """Raises ModelNotFound, or Conflict while a deployment uses it."""
        view = await self._registry.view()
        model = view.models.get(name)
        if model is None:
            raise ModelNotFound(f"There is no model {name} in the catalogue.")
        if model.origin == "starter":
            raise Conflict(f"{name} comes with Hearth and stays; delete its deployments instead.")
        if users := _users(name, view.deployments.values()):
            raise Conflict(
                f"{name} is used by {', '.join(users)}; delete the deployment first, or give it"
                " another model."
            )
        await self._registry.delete_model(name)


def check_model_name(name: str, param: str = "name") -> None:
    """A colon would separate an adapter's name. Raises BadRequest."""
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise BadRequest(
            f"{name!r} is no model name: letters, digits, dots, dashes and underscores, with at"
            " most one slash between two such parts.",
            param=param,
        )


def _users(name: str, deployments: Collection[DeploymentRecord]) -> list[str]:
    return [d.deployment_id for d in deployments if d.model == name]
