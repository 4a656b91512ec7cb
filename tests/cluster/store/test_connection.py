from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ConnectionError, ResponseError

from services.cluster.errors import Overloaded, StoreUnavailable
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

MAX_WATCHERS = 3


async def test_watchers_keep_nobody_else_from_redis(store: Store, redis_url: str) -> None:
    key = Keys.JOB_EVENTS.format("j1")
    crowded = await Store.connect(redis_url, MAX_WATCHERS)
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = [
                tasks.create_task(crowded.read_stream(key, "$", 1900)) for _ in range(MAX_WATCHERS)
            ]
            async with asyncio.timeout(10):
                while (await store.redis.info("clients"))["blocked_clients"] < MAX_WATCHERS:
                    await asyncio.sleep(0)
            with pytest.raises(Overloaded, match="event streams open") as refused:
                await crowded.read_stream(key, "$", 1)
            assert refused.value.retry_after_seconds
            assert await crowded.field("h", "f") == ""
            for followed in (Keys.CHANGES, Keys.TOKEN_EVENTS, Keys.JOB_WAKE.format("scan")):
                assert await crowded.read_stream(followed, "$", 1) == []
            await store.redis.xadd(key, {"event": "e"})
        assert all(task.result() for task in watching)
        assert await crowded.read_stream(key, "$", 1) == []
    finally:
        await crowded.close()


async def test_what_reads_on_after_the_closing_opens_nothing_again(redis_url: str) -> None:
    store = await Store.connect(redis_url)
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed its connections"):
        await store.read_stream("hearth:none", "0-0", 10)
    assert "redis-gate" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_calls_that_the_closing_cuts_off_open_nothing_again(
    store: Store, redis_url: str
) -> None:
    before = (await store.redis.info("clients"))["connected_clients"]
    closing = await Store.connect(redis_url)

    async def ask() -> None:
        while True:
            await closing.newest_entry("hearth:none")

    asking = [asyncio.create_task(ask()) for _ in range(10)]
    while (await store.redis.info("clients"))["connected_clients"] < before + len(asking):
        await asyncio.sleep(0)
    await closing.close()
    for failed in await asyncio.gather(*asking, return_exceptions=True):
        assert isinstance(failed, StoreUnavailable)
    async with asyncio.timeout(10):
        while (await store.redis.info("clients"))["connected_clients"] > before:
            await asyncio.sleep(0)


async def test_a_cancelled_call_is_cancelled_whatever_the_library_makes_of_it(
    store: Store,
) -> None:
    async def cancelled(error: Exception | None) -> None:
        async with store.answering():
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                if error:
                    raise error from None

    for error in (ConnectionError("lost"), None):
        task = asyncio.create_task(cancelled(error))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()


ANSWER = "return {#KEYS, ARGV[1]}"
FAILS = "return redis.error_reply('ERR it cannot')"


async def test_a_script_that_redis_forgot_is_loaded_again(store: Store) -> None:
    assert await store.run(ANSWER, ["k"], ["a"]) == [1, "a"]
    await store.redis.script_flush()
    assert await store.run(ANSWER, ["k"], ["a"]) == [1, "a"]


async def test_a_script_on_news_runs_with_the_entry(store: Store) -> None:
    key = Keys.JOB_WAKE.format("scan")
    waiting = asyncio.create_task(store.run_on_news(key, "0-0", 5000, ANSWER, ["a"]))
    while not (await store.redis.info("clients"))["blocked_clients"]:
        await asyncio.sleep(0)
    await store.redis.xadd(key, {"job_id": "j1"}, "5-1")
    assert await waiting == ([("5-1", {"job_id": "j1"})], [0, "a"])
    assert await store.run_on_news(key, "5-1", 1, ANSWER, ["b"]) == ([], [0, "b"])
    await store.redis.script_flush()
    found = await store.run_on_news(key, "0-0", 1, ANSWER, ["c"])
    assert found == ([("5-1", {"job_id": "j1"})], [0, "c"])


async def test_what_redis_refuses_on_news_is_raised(store: Store) -> None:
    with pytest.raises(ResponseError, match="it cannot"):
        await store.run_on_news(Keys.JOB_WAKE.format("scan"), "0-0", 1, FAILS, [])
    await store.redis.set("hearth:text", "no stream")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await store.run_on_news("hearth:text", "0-0", 1, ANSWER, ["a"])
