"""An agent on real Redis, for the tests that start one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from services.cluster.devices.assignments import Devices
from services.cluster.devices.rooms import Rooms
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.inference.agent.running import Host


@pytest_asyncio.fixture
async def host(store: Store, settings: ClusterSettings) -> AsyncIterator[Host]:
    host = Host(settings, Registry(store), Devices(store), Rooms(store))
    yield host
    if host.agent and host.agent.returncode is None:
        host.agent.kill()
        await host.agent.wait()
