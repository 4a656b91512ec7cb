"""Redis is stopped, killed, out of reach or moved: calls end in time, and go on alone later."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.cluster import redis_server
from services.cluster.errors import StoreUnavailable
from services.cluster.store.backoff import Backoff
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from tests.faults.redis_process import RedisProcess

pytestmark = [pytest.mark.faults, pytest.mark.slow]

LONGEST_SECONDS = 2.5
SEEN_AGAIN_SECONDS = 2.0
SET = "redis.call('HSET', 'h', 'f', ARGV[1]) return ARGV[1]"
EVENTS = Keys.JOB_EVENTS.format("j1")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    server = RedisProcess(tmp_path)
    yield server
    server.kill()


@pytest_asyncio.fixture
async def own(server: RedisProcess) -> AsyncIterator[Store]:
    own = await Store.connect(server.url)
    yield own
    await own.close()


async def refused_seconds(call: Callable[[], Awaitable[object]]) -> float:
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable) as error:
        await call()
    assert error.value.retry_after_seconds == 2
    return time.monotonic() - begun


async def all_refused_in_time(store: Store) -> None:
    block_seconds = 0.5
    for _ in range(3):
        assert await refused_seconds(lambda: store.run(SET, [], ["v"])) < LONGEST_SECONDS
        assert await refused_seconds(lambda: store.field("h", "f")) < LONGEST_SECONDS
    for key in (EVENTS, Keys.CHANGES):
        seconds = await refused_seconds(partial(store.read_stream, key, "$", 500))
        assert seconds < LONGEST_SECONDS + block_seconds
    many = [refused_seconds(lambda: store.field("h", "f")) for _ in range(50)]
    assert max(await asyncio.gather(*many)) < LONGEST_SECONDS


async def test_redis_is_stopped(server: RedisProcess, own: Store) -> None:
    """Its connections live, and nothing answers."""
    await own.run(SET, [], ["before"])
    server.stop()
    await all_refused_in_time(own)
    server.wake()
    begun = time.monotonic()
    await own.wait_ready(10)
    assert time.monotonic() - begun < SEEN_AGAIN_SECONDS
    assert await own.run(SET, [], ["after"]) == "after"


async def test_redis_is_killed(server: RedisProcess, own: Store) -> None:
    await own.run(SET, [], ["before"])
    server.kill()
    await all_refused_in_time(own)
    server.start()
    begun = time.monotonic()
    await own.wait_ready(10)
    assert time.monotonic() - begun < SEEN_AGAIN_SECONDS
    assert await own.field("h", "f") == "before"
    assert await own.run(SET, [], ["after"]) == "after"


@contextmanager
def out_of_reach() -> Iterator[int]:
    """A port where no connection is made or refused: packets to it are dropped."""
    with socket.socket() as listener, socket.socket() as one, socket.socket() as two:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for other in (one, two):
            other.setblocking(False)
            other.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def test_redis_is_out_of_reach() -> None:
    with out_of_reach() as port:
        url = f"redis://127.0.0.1:{port}"
        seconds = await refused_seconds(lambda: Store.connect(url, wait_seconds=0))
        assert seconds < LONGEST_SECONDS


async def test_connecting_waits_for_redis(server: RedisProcess) -> None:
    server.kill()
    connecting = asyncio.create_task(Store.connect(server.url))
    await asyncio.sleep(1)
    assert not connecting.done()
    server.start()
    store = await connecting
    assert await store.run(SET, [], ["v"]) == "v"
    await store.close()


@contextmanager
def at_address(folder: Path, address: str, port: int) -> Iterator[None]:
    folder.mkdir()
    command, _ = redis_server.prepare(folder)
    where = ["--bind", address, "--port", str(port)]
    process = subprocess.Popen([*command, *where], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def test_redis_moves_to_another_address_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "127.0.0.2"
    resolve = socket.getaddrinfo

    def resolved(host: Any, *args: Any, **options: Any) -> Any:
        return resolve(address if host == "redis.test" else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with at_address(tmp_path / "old", address, port):
        store = await Store.connect(f"redis://redis.test:{port}")
        await store.run(SET, [], ["old"])
    address = "127.0.0.3"
    with at_address(tmp_path / "new", address, port):
        await store.wait_ready(10)
        assert await store.field("h", "f") == ""
        assert await store.run(SET, [], ["new"]) == "new"
        await store.close()


@asynccontextmanager
async def turning_away(place: Path) -> AsyncIterator[list[float]]:
    """Who connects is cut off at once; when that was."""
    times: list[float] = []

    def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        times.append(time.monotonic())
        writer.close()

    place.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(serve, place, backlog=2000)
    try:
        yield times
    finally:
        server.close()
        place.unlink(missing_ok=True)


async def test_a_thousand_watchers_are_no_herd(server: RedisProcess, own: Store) -> None:
    num_watchers = 1000

    async def watch(watching: Store) -> None:
        backoff = Backoff()
        while True:
            try:
                if await watching.read_stream(EVENTS, "0-0", 1900):
                    return
                backoff.reset()
            except StoreUnavailable:
                await backoff.pause()

    watching = await Store.connect(server.url, num_watchers)
    tasks = [asyncio.create_task(watch(watching)) for _ in range(num_watchers)]
    async with asyncio.timeout(30):
        while (await own.redis.info("clients"))["blocked_clients"] < num_watchers:
            await asyncio.sleep(0.05)
    server.kill()
    async with turning_away(Path(server.url.removeprefix("unix://"))) as times:
        await asyncio.sleep(4)
    server.start()
    await own.wait_ready(10)
    begun = time.monotonic()
    assert await own.run(SET, [], ["v"]) == "v"  # who watches is in nobody's way
    assert time.monotonic() - begun < 1
    await own.redis.xadd(EVENTS, {"event": "e"})
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks)
    await watching.close()
    # Each that lost its connection looks once more, twice on its way; then one asks for all.
    assert len(times) < 2.5 * num_watchers
