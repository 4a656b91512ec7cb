from __future__ import annotations

import asyncio

from services.cluster.health import problem
from services.cluster.rpc import RpcServer
from services.cluster.settings import ClusterSettings
from tests.e2e.running import free_port


async def test_health_follows_what_the_service_says(settings: ClusterSettings) -> None:
    server, port = RpcServer(settings), free_port()
    await server.start(port)
    try:
        await server.set_serving(False)
        assert await asyncio.to_thread(problem, port) == "NOT_SERVING"
        await server.set_serving(True)
        assert await asyncio.to_thread(problem, port) == ""
    finally:
        await server.stop(0)


def test_a_port_without_a_service_is_a_problem() -> None:
    assert "connect" in problem(free_port())
