"""What Redis says when it does not serve, as real servers say it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio
from prometheus_client import REGISTRY
from redis.exceptions import ResponseError

from services.cluster.errors import StoreUnavailable
from services.cluster.store.connection import Store
from tests.faults.redis_process import RedisProcess

WRITE = "return redis.call('SET', 'k', ARGV[1])"
READ = "return redis.call('GET', 'k')"


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


def num_unavailable(reason: str) -> float:
    name = "hearth_store_unavailable_total"
    return REGISTRY.get_sample_value(name, {"reason": reason}) or 0.0


async def refused(
    call: Callable[[], Awaitable[object]], words: str, reason: str, *, passes: bool = True
) -> None:
    before = num_unavailable(reason)
    with pytest.raises(StoreUnavailable, match=words) as error:
        await call()
    assert (error.value.retry_after_seconds == 2) is passes
    assert num_unavailable(reason) == before + 1


async def set_plain(store: Store) -> None:
    async with store.answering():
        await store.redis.set("k", "v")


async def both_refused(store: Store, words: str, reason: str) -> None:
    await refused(lambda: set_plain(store), words, reason)
    await refused(lambda: store.run(WRITE, [], ["v"]), words, reason)
    await store.run(READ, [], [])


async def test_full_memory(own: Store) -> None:
    await own.redis.config_set("maxmemory", "1")
    await both_refused(own, "more memory", "oom")
    await own.redis.config_set("maxmemory", "0")
    await own.run(WRITE, [], ["v"])


async def test_a_disk_that_takes_no_snapshot(own: Store, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    await own.redis.config_set("dir", str(gone))
    shutil.rmtree(gone)
    await own.redis.config_set("save", "900 1")
    with pytest.raises(ResponseError):
        await own.redis.save()
    await own.redis.bgsave()
    async with asyncio.timeout(10):
        while (await own.redis.info("persistence"))["rdb_last_bgsave_status"] == "ok":
            await asyncio.sleep(0.02)
    await both_refused(own, "free some space", "misconf")


async def test_a_replica(own: Store) -> None:
    await own.redis.replicaof("127.0.0.1", "1")
    await both_refused(own, "name the primary", "readonly")


async def test_a_replica_that_serves_nothing_old(own: Store) -> None:
    await own.redis.config_set("replica-serve-stale-data", "no")
    await own.redis.replicaof("127.0.0.1", "1")
    await refused(lambda: own.field("h", "f"), "lost its primary", "masterdown")


async def test_passwords(own: Store, server: RedisProcess) -> None:
    wrong = server.url.replace("unix://", "unix://:wrong@")
    await own.redis.config_set("requirepass", "right")
    await refused(lambda: Store.connect(server.url), "wants a password", "auth", passes=False)
    await refused(lambda: Store.connect(wrong), "put the right one", "auth", passes=False)
    right = await Store.connect(server.url.replace("unix://", "unix://:right@"))
    await right.close()


async def test_a_user_without_rights(own: Store, server: RedisProcess) -> None:
    await own.redis.acl_setuser(
        "guest", enabled=True, passwords=["+pass"], keys=["*"], commands=["+ping"]
    )
    guest = server.url.replace("unix://", "unix://guest:pass@")
    await refused(lambda: Store.connect(guest), "all commands", "auth", passes=False)


async def is_served(store: Store) -> bool:
    try:
        await store.field("h", "f")
    except StoreUnavailable:
        return False
    return True


async def test_a_script_that_does_not_end(own: Store, server: RedisProcess) -> None:
    await own.redis.config_set("lua-time-limit", "50")
    other = redis.asyncio.Redis.from_url(server.url)
    script: Awaitable[Any] = other.eval("while true do end", 0)
    endless = asyncio.ensure_future(script)
    async with asyncio.timeout(5):
        while await is_served(own):
            await asyncio.sleep(0.01)
    await refused(lambda: own.run(READ, [], []), "busy with one long script", "busy")
    await own.redis.script_kill()
    with pytest.raises(ResponseError):
        await endless
    await other.aclose()
    await own.run(READ, [], [])


@asynccontextmanager
async def saying(line: bytes, place: Path) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers whatever it is told to every command, and keeps what it heard."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            heard.append(data)
            writer.write(line * data.count(b"*"))
        writer.close()

    server = await asyncio.start_unix_server(serve, place)
    try:
        yield f"unix://{place}", heard
    finally:
        server.close()


async def test_files_that_are_still_read(tmp_path: Path) -> None:
    """A double, for a real server has read a small file before anybody can ask."""
    line = b"-LOADING Redis is loading the dataset in memory\r\n"
    async with saying(line, tmp_path / "s") as (url, heard):
        with pytest.raises(StoreUnavailable, match="still reads its files"):
            await Store.connect(url, wait_seconds=0.5)
        assert len(heard) > 3  # it did wait


async def test_a_fault_of_ours_is_no_outage(own: Store) -> None:
    with pytest.raises(ResponseError, match="nonexistent global"):
        await own.run("return nothing_of_this_name", [], [])
