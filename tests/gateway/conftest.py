"""A real gateway, with real Redis, RPC and HTTP; only the engine is the echo double."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
import uvicorn

from services.cluster.artifacts.store import ArtifactStore
from services.cluster.http_server import HttpServer
from services.cluster.identity import Identity, Scope
from services.cluster.pb.v1 import replica_pb2_grpc
from services.cluster.records import DeploymentRecord, ReplicaPhase
from services.cluster.registry import Registry
from services.cluster.rpc import RpcServer
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from services.gateway.state import GatewayState, gateway_state
from services.inference.engines.base import EngineConfig
from services.inference.engines.echo_engine import EchoEngine
from services.inference.serving.adapters import ReplicaAdapters
from services.inference.serving.generations import Generations
from services.inference.serving.servicer import ReplicaServicer
from services.inference.serving.state import ReplicaState

MODEL = "test/echo"
TOKEN_SECONDS = 0.005


@dataclass
class EchoReplica:
    engine: EchoEngine
    server: RpcServer
    state: ReplicaState


@dataclass
class Gateway:
    url: str
    state: GatewayState
    tokens: dict[Scope, str]

    def client(self, scope: Scope | None = Scope.COMPLETIONS) -> httpx.AsyncClient:
        """Shows a token with one scope, or none."""
        headers = {"Authorization": f"Bearer {self.tokens[scope]}"} if scope else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30)


def deployment() -> DeploymentRecord:
    now = time.time()
    return DeploymentRecord(
        deployment_id="d1", model=MODEL, engine="echo", created_at=now, updated_at=now
    )


@asynccontextmanager
async def echo_replica(
    settings: ClusterSettings,
    registry: Registry,
    replica_id: str,
    folder: Path,
    kind: type[EchoEngine] = EchoEngine,
) -> AsyncIterator[EchoReplica]:
    config = EngineConfig(MODEL, folder, "cpu", echo_token_seconds=TOKEN_SECONDS)
    engine = kind(config)
    await engine.start(lambda phrase: None)
    state = ReplicaState(replica_id, deployment(), "here", os.getpid(), ("cpu-here",))
    state.engine, state.generations = engine, Generations(engine, 64)
    servicer = ReplicaServicer(state)
    servicer.adapters = ReplicaAdapters(engine, ArtifactStore(folder), state.changed.set)
    server = RpcServer(settings)
    server.add("hearth.v1.Replica", replica_pb2_grpc.add_ReplicaServicer_to_server, servicer)
    state.address = await server.start()
    state.set(ReplicaPhase.READY)
    await registry.put_replica(state.record())
    yield EchoReplica(engine, server, state)
    await server.stop(0)


@pytest_asyncio.fixture
async def replica(
    store: Store, settings: ClusterSettings, tmp_path: Path
) -> AsyncIterator[EchoReplica]:
    registry = Registry(store)
    await registry.put_deployment(deployment())
    async with echo_replica(settings, registry, "r1", tmp_path) as replica:
        yield replica


@asynccontextmanager
async def serving(settings: GatewaySettings, store: Store) -> AsyncIterator[Gateway]:
    identity = Identity(store)
    admin = await identity.ensure_admin()
    tokens = {
        scope: (await identity.create_token(admin.user_id, scope, frozenset({scope})))[0]
        for scope in Scope
    }
    async with gateway_state(settings) as state:
        config = uvicorn.Config(
            create_app(state),
            port=0,
            log_config=None,
            http="h11",
            lifespan="off",
            proxy_headers=False,
        )
        server = HttpServer(config)
        listener = config.bind_socket()
        task = asyncio.create_task(server.serve([listener]))
        await server.listening.wait()
        yield Gateway(f"http://127.0.0.1:{listener.getsockname()[1]}", state, tokens)
        server.force_exit = True
        server.stop()
        await task


def gateway_settings(settings: ClusterSettings, **changes: Any) -> GatewaySettings:
    return GatewaySettings(
        redis_url=settings.redis_url,
        data_dir=settings.data_dir,
        cluster_key=settings.cluster_key,
        host_id="here",
        **changes,
    )


@pytest_asyncio.fixture
async def gateway(
    store: Store, settings: ClusterSettings, replica: EchoReplica
) -> AsyncIterator[Gateway]:
    """With one ready replica."""
    async with serving(gateway_settings(settings), store) as gateway:
        yield gateway
