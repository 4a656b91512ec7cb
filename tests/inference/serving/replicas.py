"""A replica's RPC server in the test's own process, around an echo engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import HearthError
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.pb.v1 import replica_pb2_grpc as rpc
from services.cluster.records import DeploymentRecord, ReplicaPhase
from services.cluster.rpc import RpcServer, open_channel, translate_rpc_error
from services.cluster.settings import ClusterSettings
from services.inference.engines.base import EngineConfig
from services.inference.engines.echo_engine import EchoEngine
from services.inference.serving.adapters import ReplicaAdapters
from services.inference.serving.generations import Generations
from services.inference.serving.servicer import ReplicaServicer
from services.inference.serving.state import ReplicaState

PATIENCE_SECONDS = 5


@dataclass
class ReplicaUnderTest:
    address: str
    stub: rpc.ReplicaAsyncStub
    engine: EchoEngine
    state: ReplicaState
    generations: Generations


def echo_config(**changes: Any) -> EngineConfig:
    fields = {"model": "echo", "model_folder": Path(), "device_kind": "cpu", **changes}
    return EngineConfig(**fields)


async def echo_engine(**changes: Any) -> EchoEngine:
    engine = EchoEngine(echo_config(**changes))
    await engine.start(lambda phrase: None)
    return engine


def new_state() -> ReplicaState:
    deployment = DeploymentRecord(
        deployment_id="d1", model="echo", engine="echo", created_at=0, updated_at=0
    )
    return ReplicaState("r1", deployment, "here", 1, ("cpu",))


@asynccontextmanager
async def serving(
    settings: ClusterSettings, *, max_open: int = 100, **changes: Any
) -> AsyncIterator[ReplicaUnderTest]:
    """`changes` are fields of the engine's config."""
    engine, state = await echo_engine(**changes), new_state()
    state.engine = engine
    state.generations = Generations(engine, max_open)
    servicer = ReplicaServicer(state)
    servicer.adapters = ReplicaAdapters(engine, ArtifactStore(settings.data_dir), state.changed.set)
    server = RpcServer(settings)
    server.add("hearth.v1.Replica", rpc.add_ReplicaServicer_to_server, servicer)
    address = await server.start()
    state.set(ReplicaPhase.READY)
    async with open_channel(address, settings) as channel:
        yield ReplicaUnderTest(address, rpc.ReplicaStub(channel), engine, state, state.generations)
    await server.stop(0)
    await engine.close()


def publish_adapter(data_dir: Path, adapter_id: str, **config: Any) -> None:
    """An adapter as far as the replica looks at it before the engine does."""
    with ArtifactStore(data_dir).draft(ArtifactKind.ADAPTER, adapter_id) as draft:
        described = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, **config}
        draft.file("adapter_config.json").write_text(json.dumps(described))
        draft.file("adapter_model.safetensors").write_bytes(adapter_id.encode())
        draft.publish()


def text_request(text: str, max_tokens: int = 8, **sampling: Any) -> pb.GenerateRequest:
    """Greedy: the echo engine repeats the text from its start."""
    parameters = pb.SamplingParameters(
        max_tokens=max_tokens,
        **{"temperature": 0, **sampling},
    )
    return pb.GenerateRequest(prompt=pb.Prompt(text=text), sampling=parameters)


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what follows soon from an event that was seen. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


async def error_of(call: AsyncIterable[Any] | Awaitable[Any]) -> HearthError:
    """What an RPC, a stream or unary, ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        if isinstance(call, AsyncIterable):
            [response async for response in call]
        else:
            await call
    return translate_rpc_error(raised.value)
