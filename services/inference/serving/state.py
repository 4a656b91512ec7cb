"""What a replica says about itself, in the registry and to GetStatus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.records import DeploymentRecord, FimTokens, ReplicaPhase, ReplicaRecord
from services.inference.engines.base import Engine
from services.inference.engines.generation import EngineStats
from services.inference.serving.generations import Generations
from services.inference.serving.messages import PHASES


@dataclass
class ReplicaState:
    """`engine` and `generations` appear when the engine has started.

    `adapter_problems` says why adapters that are wanted cannot be loaded.
    """

    replica_id: str
    deployment: DeploymentRecord
    host_id: str
    pid: int
    device_ids: tuple[str, ...]
    address: str = ""
    metrics_address: str = ""
    phase: ReplicaPhase = ReplicaPhase.STARTING
    detail: str = ""
    engine: Engine | None = None
    generations: Generations | None = None
    adapter_problems: Mapping[str, str] = field(default_factory=dict)
    started_at: float = field(default_factory=time.time)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, phase: ReplicaPhase, detail: str = "") -> None:
        self.phase, self.detail = phase, detail
        self.changed.set()

    def stats(self) -> EngineStats:
        return self.engine.stats() if self.engine else EngineStats()

    def record(self) -> ReplicaRecord:
        engine, stats = self.engine, self.stats()
        return ReplicaRecord(
            replica_id=self.replica_id,
            deployment_id=self.deployment.deployment_id,
            model=self.deployment.model,
            engine=self.deployment.engine,
            engine_version=engine.version if engine else "",
            host_id=self.host_id,
            address=self.address,
            metrics_address=self.metrics_address,
            phase=self.phase,
            detail=self.detail,
            device_ids=self.device_ids,
            loaded_adapter_ids=engine.adapters.loaded if engine else (),
            adapter_problems=dict(self.adapter_problems),
            context_tokens=engine.context_tokens if engine else 0,
            num_running=stats.num_running,
            num_waiting=stats.num_waiting,
            fim=self._fim(),
            supports_chat=bool(engine and engine.tokenizer.chat_template),
            embedding_size=engine.embedding_size if engine else 0,
            pid=self.pid,
            started_at=self.started_at,
        )

    def status(self) -> pb.ReplicaStatus:
        record, stats = self.record(), self.stats()
        return pb.ReplicaStatus(
            replica_id=record.replica_id,
            deployment_id=record.deployment_id,
            model=record.model,
            engine=record.engine,
            engine_version=record.engine_version,
            phase=PHASES[record.phase],
            detail=record.detail,
            num_running=stats.num_running,
            num_waiting=stats.num_waiting,
            kv_cache_usage=stats.kv_cache_usage,
            loaded_adapter_ids=record.loaded_adapter_ids,
            context_tokens=record.context_tokens,
        )

    def _fim(self) -> FimTokens | None:
        if self.engine is None or self.generations is None or self.generations.prompts.fim is None:
            return None
        return self.generations.prompts.fim.record(self.engine.tokenizer.special_tokens)

    async def follow(self, tell: Callable[[], Awaitable[None] | None]) -> None:
        """Calls `tell` after each change, for as long as it is not cancelled."""
        while True:
            await self.changed.wait()
            self.changed.clear()
            answer = tell()
            if answer is not None:
                await answer
