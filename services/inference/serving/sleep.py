"""A replica that gives its GPU's memory back for a while, and takes it again."""

from __future__ import annotations

import asyncio
import logging

from services.cluster.errors import EngineUnavailable, Unimplemented
from services.cluster.records import ReplicaPhase
from services.inference.engines.base import Engine
from services.inference.serving.generations import Generations
from services.inference.serving.state import ReplicaState

log = logging.getLogger(__name__)


class Bed:
    """Where a replica sleeps: one change at a time."""

    def __init__(self, state: ReplicaState) -> None:
        self._state = state
        self._changing = asyncio.Lock()

    async def sleep(self, engine: Engine, generations: Generations, grace_seconds: float) -> int:
        """How many generations were aborted. Raises Unimplemented, EngineUnavailable."""
        if not engine.can_sleep:
            raise Unimplemented(
                "This replica cannot sleep: that takes a GPU and a deployment with yields_to_runs."
                " Stop it instead."
            )
        async with self._changing:
            if self._state.phase is ReplicaPhase.ASLEEP:
                return 0
            self._require(ReplicaPhase.READY)
            self._state.set(ReplicaPhase.ASLEEP, "falling asleep")
            try:
                num_aborted = await generations.drain(grace_seconds)
                await engine.sleep()
            except BaseException:  # also when the caller goes away meanwhile
                self._awake(generations)
                raise
            self._state.set(ReplicaPhase.ASLEEP, "asleep: its GPU's memory is free")
            log.info("replica asleep", extra={"num_aborted": num_aborted})
            return num_aborted

    async def wake_up(self, engine: Engine, generations: Generations) -> None:
        """Raises EngineUnavailable, and sleeps on, when the GPU has no room any more."""
        async with self._changing:
            if self._state.phase is ReplicaPhase.READY:
                return
            self._require(ReplicaPhase.ASLEEP)
            await engine.wake_up()
            self._awake(generations)
            log.info("replica awake")

    def _awake(self, generations: Generations) -> None:
        if self._state.phase is ReplicaPhase.ASLEEP:  # else it is being stopped
            generations.resume()
            self._state.set(ReplicaPhase.READY)

    def _require(self, phase: ReplicaPhase) -> None:
        if self._state.phase is not phase:
            raise EngineUnavailable(
                f"This replica is {self._state.phase}, not {phase}.", retry_after_seconds=5
            )
