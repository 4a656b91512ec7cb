"""`python -m services.gateway`: the only process that clients reach."""

from __future__ import annotations

import asyncio
import logging
import math
import signal

import uvicorn
import uvloop

from services.cluster import log as cluster_log
from services.cluster.errors import HearthError
from services.cluster.http_server import HttpServer
from services.cluster.membership import membership
from services.cluster.rpc import RpcServer
from services.cluster.settings import load
from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from services.gateway.state import gateway_state

log = logging.getLogger(__name__)

SERVICE = "gateway"
_ENDING_SECONDS = 3  # for the last events of answers that are cut
_KEEP_ALIVE_SECONDS = 75  # longer than the idle time after which proxies close


async def serve(settings: GatewaySettings) -> None:
    async with gateway_state(settings) as state:
        config = uvicorn.Config(
            create_app(state),
            host=settings.host,
            port=settings.port,
            http="h11",  # it bounds a request's head; httptools reads one of any length
            lifespan="off",
            proxy_headers=False,  # the application has them, of proxies that are trusted
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=math.ceil(settings.drain_seconds + _ENDING_SECONDS),
        )
        server = HttpServer(config)
        loop = asyncio.get_running_loop()

        def stop() -> None:
            server.stop()
            state.stopping.set()
            loop.call_later(settings.drain_seconds, state.ending.set)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        listener = config.bind_socket()
        async with membership(SERVICE, settings, state.registry, RpcServer(settings)) as member:
            serving = asyncio.create_task(server.serve([listener]), name="http")
            try:
                await server.listening.wait()
                await member.ready(http_address=f"{settings.host}:{settings.port}")
                log.info("gateway ready", extra={"port": settings.port})
                await serving
            finally:
                serving.cancel()


def main() -> int:
    settings = load(GatewaySettings)
    cluster_log.configure(SERVICE, settings)
    try:
        uvloop.run(serve(settings))
    except HearthError as error:
        log.error("gateway ends", extra={"reason": error.message})
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
