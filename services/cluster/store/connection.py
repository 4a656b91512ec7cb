"""The connection to Redis and the one table of its keys.

Only this package speaks Redis. Every change of a record is one command or one script, so that an
acknowledged change is on disk (`appendfsync always`) and a reader never sees half of it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    MaxConnectionsError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,
)

from services.cluster.errors import Overloaded, StoreUnavailable
from services.cluster.store.keys import SCHEMA_VERSION, Keys

log = logging.getLogger(__name__)

_ANSWER_TIMEOUT_SECONDS = 2.0
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
        self, client: redis.asyncio.Redis, watching: redis.asyncio.Redis | None = None
    ) -> None:
        self.redis = client
        self._watching = client if watching is None else watching
        self._scripts: dict[str, AsyncScript] = {}

    @classmethod
    async def connect(cls, url: str, max_watchers: int = _MAX_WATCHERS) -> Store:
        """Raises StoreUnavailable when Redis does not answer or holds a newer schema."""
        client = _client(url, _MAX_CONNECTIONS)
        store = cls(client, _client(url, max_watchers))
        async with store.answering():
            await client.set(Keys.SCHEMA, SCHEMA_VERSION, nx=True)
            found = int(await client.get(Keys.SCHEMA) or SCHEMA_VERSION)
        if found != SCHEMA_VERSION:
            await store.close()
            raise StoreUnavailable(
                f"Redis holds records of schema {found}; this Hearth reads schema {SCHEMA_VERSION}."
                " Start the version that wrote them, or a newer one."
            )
        return store

    async def close(self) -> None:
        try:
            await self.redis.aclose()
        finally:
            await self._watching.aclose()

    async def run(self, source: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        """Runs a Lua script by its hash; `source` is a module constant, so the cache is bounded."""
        script = self._scripts.get(source)
        if script is None:
            script = self._scripts[source] = self.redis.register_script(source)
        async with self.answering():
            return await script(keys=keys, args=args)

    async def read_stream(
        self, key: str, after: str, block_milliseconds: int
    ) -> list[tuple[str, dict[str, str]]]:
        """Entries after an id, oldest first; waits for one, at most so long, and then has none.

        Raises Overloaded when too many watch, but not for what the process itself follows.
        """
        client = self.redis if key.startswith(_FOLLOWED) else self._watching
        async with self.answering():
            try:
                streams: Any = await client.xread({key: after}, block=block_milliseconds)
            except MaxConnectionsError as error:
                if client is self.redis:
                    raise
                raise Overloaded(
                    "This process has as many event streams open as it may; close one, or ask"
                    " again.",
                    retry_after_seconds=_WATCHERS_RETRY_SECONDS,
                ) from error
        return [(str(entry), fields) for entry, fields in streams[0][1]] if streams else []

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
    async def answering(self) -> AsyncIterator[None]:
        try:
            yield
        except AuthenticationError as error:
            raise StoreUnavailable(
                f"Redis refused the password in HEARTH_REDIS_URL: {error}"
            ) from error
        except (
            ConnectionError,
            TimeoutError,
            BusyLoadingError,
            ReadOnlyError,
            OutOfMemoryError,
            OSError,
        ) as error:
            raise StoreUnavailable(
                f"Redis does not answer or takes no writes ({type(error).__name__}: {error}).",
                retry_after_seconds=2,
            ) from error


def _client(url: str, max_connections: int) -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(
        url,
        max_connections=max_connections,
        decode_responses=True,
        socket_connect_timeout=_ANSWER_TIMEOUT_SECONDS,
        socket_timeout=_ANSWER_TIMEOUT_SECONDS,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), retries=1),
    )
