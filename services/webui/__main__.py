"""`python -m services.webui`: the server of the web interface as a process of the cluster."""

from __future__ import annotations

import asyncio
import logging
import signal

import uvicorn

from services.cluster import log as cluster_log
from services.cluster.errors import HearthError
from services.cluster.http_server import HttpServer
from services.cluster.membership import membership
from services.cluster.registry import Registry
from services.cluster.rpc import RpcServer
from services.cluster.settings import load
from services.cluster.store.connection import Store
from services.webui.app import create_app
from services.webui.settings import WebuiSettings

log = logging.getLogger(__name__)

SERVICE = "webui"
_GRACE_SECONDS = 2


async def serve(settings: WebuiSettings) -> None:
    config = uvicorn.Config(
        create_app(settings.webui_dist),
        host=settings.bind_host,
        port=settings.webui_port,
        log_config=None,
        lifespan="off",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    store = await Store.connect(settings.redis_url)
    server = HttpServer(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    listener = config.bind_socket()
    serving = asyncio.create_task(server.serve([listener]), name="http")
    try:
        async with membership(SERVICE, settings, Registry(store), RpcServer(settings)) as member:
            await server.listening.wait()
            address = f"{settings.advertise_host}:{listener.getsockname()[1]}"
            await member.ready(http_address=address)
            log.info("webui ready", extra={"http_address": address})
            await serving
    finally:
        serving.cancel()
        await store.close()


def main() -> int:
    settings = load(WebuiSettings)
    cluster_log.configure(SERVICE, settings)
    try:
        asyncio.run(serve(settings))
    except HearthError as error:
        log.error("webui ends", extra={"reason": error.message})
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
