"""Uploads go through chunk by chunk, are refused early, and leave nothing when they break."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import pytest_asyncio

from services.cluster.identity import Scope
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.datascan.archives import zipped
from tests.gateway.conftest import Gateway, gateway_settings, serving
from tests.gateway.services import DatascanDouble, RealDatascan, behind, real_datascan

MIB = 1024**2
ANY_PATH = "/api/v1/projects/p/sources?file_name=code.py"
_MAX_SOURCE_BYTES = 4096


@pytest_asyncio.fixture
async def double(gateway: Gateway) -> AsyncIterator[DatascanDouble]:
    servicer = DatascanDouble()
    async with behind(gateway, "datascan", servicer):
        yield servicer


@pytest_asyncio.fixture
async def real(
    gateway: Gateway, store: Store, settings: ClusterSettings
) -> AsyncIterator[RealDatascan]:
    """Takes sources of 4 KiB at most."""
    datascan = real_datascan(gateway, store, settings, max_source_bytes=_MAX_SOURCE_BYTES)
    async with behind(gateway, "datascan", datascan.servicer):
        yield datascan


@pytest_asyncio.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client(Scope.ADMIN) as client:
        yield client


@pytest_asyncio.fixture
async def path(client: httpx.AsyncClient, real: RealDatascan) -> str:
    """Of the sources of a project."""
    body = {"name": "web", "manual_scans": True}
    project = (await client.post("/api/v1/projects", json=body)).json()
    return f"/api/v1/projects/{project['project_id']}/sources"


class Body:
    """A request body that knows how much of it was taken."""

    def __init__(self, num_bytes: int) -> None:
        self.num_bytes = num_bytes
        self.sent_bytes = 0

    async def parts(self) -> AsyncIterator[bytes]:
        while self.sent_bytes < self.num_bytes:
            yield b"x" * 65536
            self.sent_bytes += 65536


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def stalled(body: Body) -> int:
    """What was sent when nothing more was taken for half a second."""
    seen = -1
    while seen != body.sent_bytes:
        seen = body.sent_bytes
        await asyncio.sleep(0.5)
    return seen


async def test_a_slow_data_scan_slows_the_client(
    client: httpx.AsyncClient, double: DatascanDouble
) -> None:
    body = Body(128 * MIB)
    posting = asyncio.create_task(client.post(ANY_PATH, content=body.parts()))
    await double.begun.wait()
    assert await stalled(body) < 24 * MIB  # what sockets hold, and not the gateway
    double.take_all()
    answer = await posting
    assert answer.status_code == 201, answer.text
    assert double.taken_bytes == 128 * MIB


async def test_an_upload_is_what_was_sent(client: httpx.AsyncClient, path: str) -> None:
    content = zipped({"a.py": "x = 1\n"})
    headers = {"X-Content-SHA256": hashlib.sha256(content).hexdigest().upper()}
    headers |= {"Idempotency-Key": "once", "Content-Type": "text/html"}
    query = {"file_name": "my code.zip", "name": "mine", "split": "train"}
    answers = [
        await client.post(path, params=query, headers=headers, content=content) for _ in range(2)
    ]
    first, again = (answer.json() for answer in answers)
    assert [answer.status_code for answer in answers] == [201, 201]
    assert (first["name"], first["split"], first["sha256"]) == (
        "mine",
        "train",
        headers["X-Content-SHA256"].lower(),
    )
    assert again["source_id"] == first["source_id"]


@pytest.mark.parametrize(
    ("query", "headers", "content", "status", "word"),
    [
        ({"file_name": "a.zip"}, {}, b"no zip", 400, "cannot be opened"),
        ({"file_name": "a.py"}, {}, b"", 400, "empty"),
        ({"file_name": ""}, {}, b"x", 400, "file_name"),
        ({}, {}, b"x", 400, "file_name"),
        ({"file_name": "a.py", "split": "half"}, {}, b"x", 400, "split"),
        ({"file_name": "a.py", "name": "a b"}, {}, b"x", 400, "a b"),
        ({"file_name": "a.py", "replaced_source_id": "none"}, {}, b"x", 404, "none"),
        ({"file_name": "a.py"}, {"X-Content-SHA256": "0" * 64}, b"x", 400, "sha256"),
        ({"file_name": "a.py"}, {"X-Content-SHA256": "beef"}, b"x", 400, "sha256"),
        ({"file_name": "a.py"}, {"Idempotency-Key": "k" * 65}, b"x", 400, "idempotency-key"),
    ],
)
async def test_what_cannot_be_taken_leaves_nothing(
    client: httpx.AsyncClient,
    real: RealDatascan,
    path: str,
    query: dict[str, str],
    headers: dict[str, str],
    content: bytes,
    status: int,
    word: str,
) -> None:
    answer = await client.post(path, params=query, headers=headers, content=content)
    assert answer.status_code == status, answer.text
    assert word in answer.json()["detail"]
    assert (await client.get(path)).json()["sources"] == []
    assert real.drafts == []


@pytest.mark.parametrize("says_length", [True, False])
async def test_a_refusal_reaches_a_client_that_still_sends(
    client: httpx.AsyncClient, real: RealDatascan, path: str, says_length: bool
) -> None:
    num_bytes = 64 * MIB
    headers = {"Content-Length": str(num_bytes)} if says_length else {}
    for place, status, word in (
        (f"{path}?file_name=a.py", 413, "HEARTH_MAX_SOURCE_BYTES"),
        (f"{path}?file_name=a.py&name=a%20b", 400, "a b"),
    ):
        content = Body(num_bytes).parts()
        answer = await client.post(place, headers=headers, content=content)
        assert answer.status_code == status, answer.text
        assert word in answer.json()["detail"]
    assert real.drafts == []


async def test_a_refusal_is_told_as_it_came(client: httpx.AsyncClient, path: str) -> None:
    """Once in twenty times grpc.aio put an error of its own in its place."""
    for _ in range(50):
        answer = await client.post(f"{path}?file_name=a.py", content=Body(MIB).parts())
        assert answer.status_code == 413, answer.text


async def test_who_may_not_upload_is_refused_before_the_body(
    gateway: Gateway, double: DatascanDouble
) -> None:
    async with gateway.client() as client:
        answer = await client.post(ANY_PATH, content=Body(64 * MIB).parts())
    assert answer.status_code == 403
    assert not double.begun.is_set()


def tasks() -> set[asyncio.Task[object]]:
    """All but the one with which gRPC's server waits for its next call."""
    return {t for t in asyncio.all_tasks() if "AioServer" not in repr(t)}


async def half_sent(
    gateway: Gateway, path: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has sent 64 KiB of a body of 1 MiB."""
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {MIB}\r\n"
        f"Authorization: Bearer {gateway.tokens[Scope.ADMIN]}\r\n\r\n"
    )
    writer.write(head.encode() + b"x" * 65536)
    await writer.drain()
    return reader, writer


async def test_a_client_that_goes_away_ends_the_rpc(
    gateway: Gateway, double: DatascanDouble
) -> None:
    before = tasks()
    _, writer = await half_sent(gateway, ANY_PATH)
    double.take_all()
    await until(lambda: double.taken_bytes > 0)
    writer.transport.abort()
    await asyncio.wait_for(double.given_up.wait(), 10)
    await until(lambda: not tasks() - before)


async def test_a_client_that_goes_away_leaves_nothing(
    gateway: Gateway, client: httpx.AsyncClient, store: Store, settings: ClusterSettings
) -> None:
    datascan = real_datascan(gateway, store, settings)
    async with behind(gateway, "datascan", datascan.servicer):
        made = await client.post("/api/v1/projects", json={"name": "web"})
        path = f"/api/v1/projects/{made.json()['project_id']}/sources"
        _, writer = await half_sent(gateway, f"{path}?file_name=a.py")
        await until(lambda: datascan.drafts != [])
        writer.transport.abort()
        await until(lambda: datascan.drafts == [])
        assert (await client.get(path)).json()["sources"] == []


async def test_an_early_answer_leaves_no_task(
    gateway: Gateway, client: httpx.AsyncClient, real: RealDatascan, path: str
) -> None:
    await client.get(path)
    before = tasks()
    answer = await client.post(f"{path}?file_name=a.py", content=Body(8 * MIB).parts())
    assert answer.status_code == 413
    await until(lambda: not tasks() - before)


async def test_a_data_scan_that_ends_under_an_upload_is_503(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    double = DatascanDouble()
    async with behind(gateway, "datascan", double) as server:
        posting = asyncio.create_task(client.post(ANY_PATH, content=Body(32 * MIB).parts()))
        await double.begun.wait()
        await server.stop(0)
        answer = await posting
    assert answer.status_code == 503, answer.text
    assert answer.json()["detail"].endswith(".")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_an_upload_has_a_limit_and_may_not_fall_silent(
    store: Store, settings: ClusterSettings
) -> None:
    own = gateway_settings(settings, max_upload_bytes=MIB, body_seconds=0.3)
    double = DatascanDouble()
    async with (
        serving(own, store) as gateway,
        behind(gateway, "datascan", double),
        gateway.client(Scope.ADMIN) as client,
    ):
        double.take_all()
        for content in (b"x" * (2 * MIB), Body(2 * MIB).parts()):
            answer = await client.post(ANY_PATH, content=content)
            assert (answer.status_code, "1 MiB" in answer.json()["detail"]) == (413, True)
        reader, writer = await half_sent(gateway, ANY_PATH)
        assert b"HTTP/1.1 400 " in await asyncio.wait_for(reader.readline(), 10)
        await asyncio.wait_for(double.given_up.wait(), 10)
        writer.close()
