"""What the gateway holds while it runs. All of it can be lost: the rest of the cluster has it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.requests import HTTPConnection

from services.cluster.devices.assignments import Devices
from services.cluster.identity import Identity
from services.cluster.registry import ClusterView, Registry
from services.cluster.registry_cache import RegistryCache
from services.cluster.sealing import Sealer
from services.cluster.store.connection import Store
from services.cluster.tasks import end
from services.cluster.telemetry_records import WrittenRows
from services.cluster.token_table import TokenTable
from services.cluster.toolbox import ToolboxCommand
from services.gateway.audit import Audit
from services.gateway.repository_context import RepositoryContext
from services.gateway.sessions import Sessions
from services.gateway.settings import GatewaySettings
from services.gateway.toolbox.commands import default_commands
from services.gateway.upstream.channels import Channels
from services.gateway.upstream.providers import Providers
from services.gateway.upstream.replicas import Replicas
from services.gateway.upstream.services import Services
from services.gateway.upstream.speakers import Speakers

_PAGE_SECONDS = 10.0


@dataclass
class GatewayState:
    """`stopping`: nothing new is taken. `ending`: answers that are still open end now.

    `documents`: of the API, by name, each made once, under `describing`.
    `repository_context` is asked for files beside a cursor; there is no source of them yet.
    """

    settings: GatewaySettings
    registry: Registry
    cache: RegistryCache
    tokens: TokenTable
    identity: Identity
    sessions: Sessions
    devices: Devices
    written: WrittenRows
    channels: Channels
    speakers: Speakers
    services: Services
    sealer: Sealer
    audit: Audit
    pages: httpx.AsyncClient
    repository_context: RepositoryContext | None = None
    tokenizers: dict[str, bytes] = field(default_factory=dict)
    toolbox_defaults: Mapping[str, ToolboxCommand] = field(default_factory=default_commands)
    documents: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    describing: asyncio.Lock = field(default_factory=asyncio.Lock)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    started_at: float = field(default_factory=time.time)

    @property
    def replicas(self) -> Replicas:
        return self.speakers.replicas

    @property
    def view(self) -> ClusterView:
        return self.cache.view


def state_of(connection: HTTPConnection) -> GatewayState:
    state: GatewayState = connection.app.state.gateway
    return state


@asynccontextmanager
async def gateway_state(settings: GatewaySettings) -> AsyncIterator[GatewayState]:
    """Connects, loads tokens and registry, and only then yields."""
    store = await Store.connect(settings.redis_url, data_dir=settings.data_dir)
    registry = Registry(store)
    identity = Identity(store)
    await identity.ensure_admin()
    cache, channels = RegistryCache(registry), Channels(settings)
    sealer, audit = Sealer(settings.data_dir), Audit(settings.data_dir)
    state = GatewayState(
        settings=settings,
        registry=registry,
        cache=cache,
        tokens=TokenTable(store),
        identity=identity,
        sessions=Sessions(identity),
        devices=Devices(store),
        written=WrittenRows(store),
        channels=channels,
        speakers=Speakers(Replicas(settings, channels), Providers(settings, sealer, audit)),
        services=Services(channels, lambda: cache.view),
        sealer=sealer,
        audit=audit,
        # Inside the cluster: no proxy of the environment stands between.
        pages=httpx.AsyncClient(trust_env=False, timeout=_PAGE_SECONDS),
    )
    following = None
    try:
        await state.tokens.start()
        await state.cache.start()
        following = asyncio.create_task(_forget_the_gone(state), name="forget-the-gone")
        yield state
    finally:
        await end(following)
        await state.cache.close()
        await state.tokens.close()
        await state.speakers.providers.close()
        await state.replicas.close()
        await state.channels.close()
        await state.pages.aclose()
        await store.close()


async def _forget_the_gone(state: GatewayState) -> None:
    """Lets go of what belongs to processes and replicas that are not there any more."""
    while True:
        view = await state.cache.changed()
        processes = {process.address for process in view.processes.values()}
        await state.replicas.forget_others(view.replicas.values(), processes)
        state.speakers.providers.forget_others(view.providers.values())
        for model in state.tokenizers.keys() - {r.model for r in view.replicas.values()}:
            del state.tokenizers[model]
