"""Reverse proxies in front of a gateway: one of ours for every machine, and a real nginx."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from services.cluster.http_server import HttpServer

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_OF_A_CONNECTION = frozenset({b"host", b"connection", b"keep-alive", b"transfer-encoding"})
_START_SECONDS = 10


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """Its HOST:PORT."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", proxy_headers=False)
    server, listener = HttpServer(config), config.bind_socket()
    task = asyncio.create_task(server.serve([listener]))
    await server.listening.wait()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.force_exit = True
        server.stop()
        await task


@asynccontextmanager
async def python_proxy(
    upstream: str, prefix: str, *, strips: bool, headers: Mapping[str, str]
) -> AsyncIterator[str]:
    """The URL of a proxy that passes what is below `prefix` on, with `headers` and another Host."""
    async with httpx.AsyncClient(timeout=30) as client:

        async def forward(request: Request) -> Response:
            path = request.scope["raw_path"]
            if strips:
                path = path.removeprefix(prefix.encode()) or b"/"
            query = request.scope["query_string"]
            url = httpx.URL(upstream).copy_with(raw_path=path + (b"?" + query if query else b""))
            sent = [
                (name, value) for name, value in request.headers.raw if name not in _OF_A_CONNECTION
            ]
            sent += [(name.encode(), value.encode()) for name, value in headers.items()]
            body = request.stream() if "content-length" in request.headers else None
            asked = client.build_request(request.method, url, headers=sent, content=body)
            answer = await client.send(asked, stream=True)
            passed = StreamingResponse(
                answer.aiter_raw(), answer.status_code, background=BackgroundTask(answer.aclose)
            )
            passed.raw_headers = [
                (name.lower(), value)
                for name, value in answer.headers.raw
                if name.lower() not in _OF_A_CONNECTION
            ]
            return passed

        app = Starlette(
            routes=[
                Route(place, forward, methods=METHODS) for place in (prefix, f"{prefix}/{{p:path}}")
            ]
        )
        async with served(app) as address:
            yield f"http://{address}"


# Buffering is on, as it is by default.
_NGINX = """
daemon off;
{user}
worker_processes 1;
error_log stderr warn;
pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
{places}
    }}
}}
"""


@asynccontextmanager
async def nginx(folder: Path, port: int, places: str) -> AsyncIterator[None]:
    """A real one with these `location` blocks. Skips where there is none."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("no nginx on this machine (Debian, Ubuntu: apt install nginx-light)")
    # Else workers of root's nginx are nobody, who may write nothing here.
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(_NGINX.format(folder=folder, port=port, places=places, user=user))
    process = await asyncio.create_subprocess_exec(
        program, "-p", str(folder), "-c", str(configuration)
    )
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not await _listens(port):
                assert process.returncode is None, "nginx refuses its configuration"
                await asyncio.sleep(0.02)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
