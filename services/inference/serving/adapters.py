"""The adapters a replica should have, and how they get there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import BadRequest, HearthError, NotFound
from services.inference.engines.adapter_config import read_config
from services.inference.engines.base import Engine
from services.inference.serving.metrics import ADAPTER_LOAD_SECONDS, ADAPTER_LOADS

log = logging.getLogger(__name__)

RETRY_SECONDS = 10.0
_ROOM_SECONDS = 1.0
_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}


def check_adapter(folder: Path, max_rank: int) -> None:
    """Raises BadRequest when a folder is no LoRA adapter that may be loaded.

    Weights come as safetensors only: other formats can run code when they are read.
    """
    if not (folder / "adapter_model.safetensors").is_file():
        raise BadRequest("The adapter has no adapter_model.safetensors.")
    if unsafe := sorted(place.name for place in folder.iterdir() if place.suffix in _PICKLES):
        raise BadRequest(f"The adapter holds {unsafe[0]}; only safetensors are read.")
    read_config(folder, max_rank)


def changes(wanted: Iterable[str], loaded: Iterable[str]) -> tuple[list[str], list[str]]:
    """What to load and what to unload."""
    wanted, loaded = dict.fromkeys(wanted), dict.fromkeys(loaded)
    return [i for i in wanted if i not in loaded], [i for i in loaded if i not in wanted]


class ReplicaAdapters:
    """Loads by hand (LoadAdapter) and by what the deployment wants. `changed` tells the world.

    `problems` says, by adapter, why one that is wanted cannot be loaded.
    """

    def __init__(
        self, engine: Engine, artifacts: ArtifactStore, changed: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._artifacts = artifacts
        self._changed = changed
        self.problems: dict[str, str] = {}
        self._by_hand: set[str] = set()
        self._retry_at: dict[str, float] = {}
        self._unloading: dict[str, asyncio.Task[None]] = {}

    async def load(self, adapter_id: str, *, by_hand: bool) -> float:
        """Seconds the engine needed. Raises NotFound, BadRequest or Overloaded."""
        folder = self._artifacts.path(ArtifactKind.ADAPTER, adapter_id)
        await asyncio.to_thread(check_adapter, folder, self._engine.config.max_lora_rank)
        seconds = await self._load(adapter_id, folder)
        if by_hand:
            self._by_hand.add(adapter_id)
        self._retry_at.pop(adapter_id, None)
        self.problems.pop(adapter_id, None)
        self._changed()
        return seconds

    async def _load(self, adapter_id: str, folder: Path) -> float:
        deployment = self._engine.config.deployment
        try:
            seconds = await self._engine.load_adapter(adapter_id, folder)
        except HearthError:
            ADAPTER_LOADS.labels(deployment, "failed").inc()
            raise
        if seconds:  # else it was loaded already
            ADAPTER_LOADS.labels(deployment, "loaded").inc()
            ADAPTER_LOAD_SECONDS.labels(deployment).observe(seconds)
        return seconds

    async def unload(self, adapter_id: str) -> None:
        self._by_hand.discard(adapter_id)
        unloading = asyncio.ensure_future(self._engine.unload_adapter(adapter_id))
        await asyncio.sleep(0)  # it refuses new users from here on
        self._changed()
        await unloading

    async def reconcile(self, wanted: Iterable[str]) -> None:
        """Loads what is missing; unloads what is not wanted, each as soon as it is unused.

        What cannot be loaded is logged and tried again after `RETRY_SECONDS`, not before.
        """
        wanted = [*wanted, *self._by_hand]
        self._forget_failures(set(wanted))
        missing, surplus = changes(wanted, self._engine.adapters.loaded)
        for adapter_id in surplus:
            log.info("adapter is not wanted any more", extra={"adapter_id": adapter_id})
            task = asyncio.create_task(self._unload_logged(adapter_id))
            self._unloading[adapter_id] = task
            task.add_done_callback(partial(self._forget, adapter_id))
        now = asyncio.get_running_loop().time()
        for adapter_id in missing:
            await self._stay(adapter_id)
            if self._retry_at.get(adapter_id, 0) <= now:
                await self._make_room()
                await self._load_logged(adapter_id)

    async def _stay(self, adapter_id: str) -> None:
        """Wanted again while it waits for its last user: then it is not unloaded at all."""
        if unloading := self._unloading.get(adapter_id):
            unloading.cancel()
            await asyncio.wait([unloading])

    async def _make_room(self) -> None:
        """Those that nobody uses are unloaded in a moment; others are not waited for."""
        if self._unloading and not self._engine.adapters.has_room:
            await asyncio.wait(self._unloading.values(), timeout=_ROOM_SECONDS)

    async def _load_logged(self, adapter_id: str) -> None:
        try:
            seconds = await self.load(adapter_id, by_hand=False)
        except (HearthError, OSError) as error:
            self._retry_at[adapter_id] = asyncio.get_running_loop().time() + RETRY_SECONDS
            log.warning(
                "adapter cannot be loaded", extra={"adapter_id": adapter_id, "reason": str(error)}
            )
            self._tell_problem(adapter_id, error)
        else:
            log.info("adapter loaded", extra={"adapter_id": adapter_id, "seconds": seconds})

    def _tell_problem(self, adapter_id: str, error: HearthError | OSError) -> None:
        """Of what may soon be well, such as a full engine, nothing is told."""
        if isinstance(error, BadRequest | NotFound):
            problem = error.message
        elif isinstance(error, OSError):
            problem = f"The adapter's files cannot be read: {error}."
        else:
            return
        if self.problems.get(adapter_id) != problem:
            self.problems[adapter_id] = problem
            self._changed()

    def _forget_failures(self, wanted: set[str]) -> None:
        """One that is wanted anew is tried at once."""
        for adapter_id in self._retry_at.keys() - wanted:
            del self._retry_at[adapter_id]
        if gone := self.problems.keys() - wanted:
            for adapter_id in gone:
                del self.problems[adapter_id]
            self._changed()

    async def close(self) -> None:
        tasks = list(self._unloading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, adapter_id: str, task: asyncio.Task[None]) -> None:
        if self._unloading.get(adapter_id) is task:
            del self._unloading[adapter_id]

    async def _unload_logged(self, adapter_id: str) -> None:
        try:
            await self.unload(adapter_id)
        except HearthError as error:
            log.warning(
                "adapter cannot be unloaded",
                extra={"adapter_id": adapter_id, "reason": error.message},
            )
