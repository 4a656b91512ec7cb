"""The connection to Redis and the one table of its keys.

Only this package speaks Redis. Every change of a record is one command or one script, so that an
acknowledged change is on disk (`appendfsync always`) and a reader never sees half of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio
from redis.exceptions import MaxConnectionsError, NoScriptError, RedisError

from services.cluster.errors import Overloaded, StoreUnavailable
from services.cluster.metrics import STORE_UNAVAILABLE
from services.cluster.store.backoff import Backoff
from services.cluster.store.client import Client, command_client, patient_client, watching_client
from services.cluster.store.gate import Gate
from services.cluster.store.keys import Keys
from services.cluster.store.refusals import refusal, unavailable
from services.cluster.store.schema import is_ready, make_ready

log = logging.getLogger(__name__)

UNAVAILABLE_SECONDS = 2.2  # a call that Redis does not answer ends after so long
START_SECONDS = 5.0
_MAX_CONNECTIONS = 100
_MAX_WATCHERS = 1000  # each holds a connection; Redis takes 10000 of all processes together
_WATCHERS_RETRY_SECONDS = 5.0


# A process follows each of these once, for itself. All other streams are watched for callers, of
# whom there may be any number.
_FOLLOWED = (Keys.CHANGES, Keys.TOKEN_EVENTS, Keys.JOB_WAKE.format(""))


class Store:
    """`answering()` turns Redis being away into `StoreUnavailable`.

    Whoever watches a stream holds a connection while waiting, so watchers have a pool of their own:
    commands, and what the process itself follows, never wait for them.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        watching: redis.asyncio.Redis | None = None,
        following: redis.asyncio.Redis | None = None,
    ) -> None:
        self.redis = client
        self._watching = client if watching is None else watching
        self._following = self._watching if following is None else following
        self._shas: dict[str, str] = {}
        self._gate = Gate(self._ping)

    @classmethod
    async def connect(
        cls,
        url: str,
        max_watchers: int = _MAX_WATCHERS,
        *,
        wait_seconds: float = START_SECONDS,
        data_dir: Path | None = None,
    ) -> Store:
        """Waits for Redis while it starts. Raises StoreUnavailable when it does not answer.

        Records of an older schema are backed up to `data_dir` and migrated; without a `data_dir`
        that is left to another process and waited for. Raises Unavailable when it cannot be done.
        """
        store = cls(
            command_client(url, _MAX_CONNECTIONS),
            watching_client(url, max_watchers),
            watching_client(url, _MAX_CONNECTIONS),
        )
        try:
            await store.wait_ready(wait_seconds)
            async with store.answering():
                ready = await is_ready(store.redis)
            if not ready:
                async with store.answering(None), patient_client(url) as client:
                    await make_ready(client, data_dir)
        except BaseException:
            await store.close()
            raise
        return store

    async def wait_ready(self, timeout_seconds: float) -> None:
        """Returns when Redis answers.

        Raises StoreUnavailable when it does not within the time, and at once when it never will.
        """
        deadline = time.monotonic() + timeout_seconds
        backoff = Backoff()
        while True:
            try:
                await self._ping()
                return
            except StoreUnavailable as error:
                if error.retry_after_seconds is None or time.monotonic() >= deadline:
                    raise
            await backoff.pause()

    async def _ping(self) -> None:
        async with self.answering():
            await self.redis.ping()

    async def close(self) -> None:
        await self._gate.close()
        try:
            await self.redis.aclose()
        finally:
            try:
                await self._watching.aclose()
            finally:
                await self._following.aclose()

    async def run(self, source: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        """Runs a Lua script by its hash; `source` is a module constant, so the cache is bounded.

        When the answer is late the script is sent again with the same arguments: it must answer
        the second time as it did the first.
        """
        async with self.answering():
            return await self._run(source, [*keys, *args], len(keys))

    async def run_on_news(
        self,
        key: str,
        after: str,
        block_milliseconds: int,
        source: str,
        args: Sequence[str | int | float],
    ) -> tuple[list[tuple[str, dict[str, str]]], Any]:
        """Waits as `read_stream` does and then runs a script: the entries, and its answer.

        Both go to Redis in one message, so the script runs in the moment of the entry, and what it
        writes reaches the disk together with the entry.
        """
        await self._gate.passed(UNAVAILABLE_SECONDS, spread=False)
        try:
            async with self.answering(UNAVAILABLE_SECONDS + block_milliseconds / 1000):
                pipeline = self._following.pipeline(transaction=False)
                pipeline.xread({key: after}, block=block_milliseconds)
                pipeline.evalsha(self._sha(source), 0, *args)
                streams, answer = await pipeline.execute(raise_on_error=False)
                if isinstance(answer, NoScriptError):
                    answer = await self._run(source, args, 0)
                for failed in (streams, answer):
                    if isinstance(failed, Exception):
                        raise failed
        except StoreUnavailable as refusal:
            self._gate.shut(refusal)
            raise
        return _entries(streams), answer

    async def _run(self, source: str, args: Sequence[str | int | float], num_keys: int) -> Any:
        sha = self._sha(source)
        try:
            return await self.redis.evalsha(sha, num_keys, *args)
        except NoScriptError:
            await self.redis.script_load(source)
            return await self.redis.evalsha(sha, num_keys, *args)

    def _sha(self, source: str) -> str:
        sha = self._shas.get(source)
        if sha is None:
            sha = self._shas[source] = hashlib.sha1(source.encode()).hexdigest()
            if isinstance(self.redis, Client):
                self.redis.name_script(sha, source)
        return sha

    async def read_stream(
        self, key: str, after: str, block_milliseconds: int
    ) -> list[tuple[str, dict[str, str]]]:
        """Entries after an id, oldest first; waits for one, at most so long, and then has none.

        Raises Overloaded when too many watch, but not for what the process itself follows.
        """
        is_followed = key.startswith(_FOLLOWED)
        await self._gate.passed(UNAVAILABLE_SECONDS, spread=not is_followed)
        try:
            async with self.answering(UNAVAILABLE_SECONDS + block_milliseconds / 1000):
                client = self._following if is_followed else self._watching
                streams: Any = await client.xread({key: after}, block=block_milliseconds)
        except StoreUnavailable as refusal:
            if not is_followed and isinstance(refusal.__cause__, MaxConnectionsError):
                raise Overloaded(
                    "This process has as many event streams open as it may; close one, or ask"
                    " again.",
                    retry_after_seconds=_WATCHERS_RETRY_SECONDS,
                ) from refusal
            self._gate.shut(refusal)
            raise
        return _entries(streams)

    async def time(self) -> float:
        """Unix seconds by the clock that every script goes by."""
        async with self.answering():
            seconds, microseconds = await self.redis.time()
        return float(seconds) + float(microseconds) / 1e6

    async def field(self, key: str, name: str) -> str:
        """A field of a hash; "" when there is none."""
        async with self.answering():
            found: Any = await self.redis.hget(key, name)
        return str(found or "")

    async def newest_ids(self, key: str, start: int, count: int) -> list[str]:
        """Members of a sorted set, highest score first; a negative count for all of them."""
        async with self.answering():
            found: Any = await self.redis.zrevrange(
                key, start, start + count - 1 if count >= 0 else -1
            )
        return [str(member) for member in found]

    async def newest_entry(self, key: str) -> str:
        """The id after which new entries of a stream will come."""
        async with self.answering():
            newest: Any = await self.redis.xrevrange(key, count=1)
        return str(newest[0][0]) if newest else "0-0"

    @asynccontextmanager
    async def answering(
        self, within_seconds: float | None = UNAVAILABLE_SECONDS
    ) -> AsyncIterator[None]:
        """Raises StoreUnavailable when Redis is away, or does not answer the block in time.

        A cancellation that redis-py loses while it opens a connection again is raised here.
        """
        task = asyncio.current_task()
        num_cancelled = task.cancelling() if task else 0
        try:
            async with asyncio.timeout(within_seconds):
                yield
        except (RedisError, OSError) as error:  # the built-in TimeoutError is an OSError
            if task and task.cancelling() > num_cancelled:
                raise asyncio.CancelledError from error
            found = refusal(error)
            if found is None:
                raise
            STORE_UNAVAILABLE.labels(found.reason).inc()
            raise unavailable(found, error) from error
        if task and task.cancelling() > num_cancelled:
            raise asyncio.CancelledError


def _entries(streams: Any) -> list[tuple[str, dict[str, str]]]:
    """Of the only stream that was read."""
    return [(str(entry), fields) for entry, fields in streams[0][1]] if streams else []
