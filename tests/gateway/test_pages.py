"""The web interface is fetched from its own process, and nothing of the caller goes there."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator

import pytest_asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from services.cluster.http_server import HttpServer
from services.cluster.identity import Scope
from services.cluster.records import ProcessRecord
from services.cluster.registry import Registry
from services.cluster.store.connection import Store
from tests.gateway.conftest import Gateway

_LARGE_BYTES = 3_000_000


@pytest_asyncio.fixture
async def seen(store: Store, gateway: Gateway) -> AsyncIterator[list[Request]]:
    """The requests that a stand-in for the web interface's server got."""
    requests: list[Request] = []

    async def answer(request: Request) -> Response:
        requests.append(request)
        if request.url.path == "/large":
            return Response(b"x" * _LARGE_BYTES)
        if request.headers.get("if-none-match") == '"1"':
            return Response(status_code=304, headers={"ETag": '"1"'})
        body = gzip.compress(b"page")
        return Response(body, headers={"Content-Encoding": "gzip", "ETag": '"1"'})

    async def missing(request: Request) -> Response:
        return PlainTextResponse("404: none", 404)

    app = Starlette(routes=[Route("/missing.js", missing), Route("/{path:path}", answer)])
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off")
    server, listener = HttpServer(config), config.bind_socket()
    task = asyncio.create_task(server.serve([listener]))
    await server.listening.wait()
    record = ProcessRecord(
        process_id="w1",
        service="webui",
        host_id="here",
        status="ready",
        http_address=f"127.0.0.1:{listener.getsockname()[1]}",
        started_at=time.time(),
    )
    await Registry(store).put_process(record)
    await gateway.state.cache.refresh()
    yield requests
    server.force_exit = True
    server.stop()
    await task


async def test_a_page_comes_through_as_it_is(gateway: Gateway, seen: list[Request]) -> None:
    async with gateway.client(Scope.ADMIN) as client:
        client.cookies.set("hearth_session_8008", "secret")
        answer = await client.get("/tokens")
        assert answer.text == "page"
        assert answer.headers["content-encoding"] == "gzip"
        unchanged = await client.get("/tokens", headers={"If-None-Match": answer.headers["etag"]})
        assert unchanged.status_code == 304
        assert (await client.get("/missing.js")).status_code == 404
        assert len((await client.get("/large")).content) == _LARGE_BYTES
        assert (await client.head("/tokens")).status_code == 200
    for request in seen:
        assert "authorization" not in request.headers
        assert "cookie" not in request.headers


async def test_apis_are_never_pages(gateway: Gateway, seen: list[Request]) -> None:
    async with gateway.client() as client:
        for path in ("/v1/nothing", "/api/v1/nothing", "/api/v2/cluster"):
            answer = await client.get(path)
            assert answer.status_code == 404
            assert answer.json()["detail"]
    assert seen == []
