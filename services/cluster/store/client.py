"""The Redis client: how long it waits, how it comes back, and what its calls cost."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable
from typing import Any, cast

import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import EqualJitterBackoff
from redis.exceptions import ConnectionError

from services.cluster.metrics import REDIS_SECONDS

# An answer that is late is asked for once more; `answering()` bounds both together.
ANSWER_SECONDS = 1.5
# Whoever watches blocks on purpose, so silence says little; `answering()` bounds it too.
_WATCH_SECONDS = 60.0
_LIBRARY = "services.cluster."
_BLOCKING = frozenset({"XREAD"})


class Client(redis.asyncio.Redis):
    """Measures each command by its name, and a script by the name of its constant."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._names: dict[str, str] = {}
        self._is_closed = False
        self.connection_pool.connection_kwargs["redis_connect_func"] = self._connected

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """For good: a command that is cut off by it opens no connection again."""
        self._is_closed = True
        await super().aclose(close_connection_pool)

    async def _connected(self, connection: AbstractConnection) -> None:
        if self._is_closed:
            raise ConnectionError("This process has closed its connections to Redis.")
        await connection.on_connect()

    def name_script(self, sha: str, source: str) -> None:
        self._names[sha] = _constant(source)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Executes a command and returns its answer."""
        call: Awaitable[Any] = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        name = str(args[0])
        if name in _BLOCKING:
            return await call
        if name == "EVALSHA":
            name = self._names.get(str(args[1]), "script")
        begun = time.perf_counter()
        try:
            return await call
        finally:
            REDIS_SECONDS.labels(name).observe(time.perf_counter() - begun)


def command_client(url: str, max_connections: int) -> Client:
    return _client(url, max_connections, ANSWER_SECONDS, Retry(EqualJitterBackoff(0.2, 0.05), 1))


def watching_client(url: str, max_connections: int) -> Client:
    """Comes back more slowly: a thousand watchers lose their connections in the same moment."""
    return _client(url, max_connections, _WATCH_SECONDS, Retry(EqualJitterBackoff(1.0, 0.25), 1))


def patient_client(url: str) -> Client:
    """For work on all records at once. It keeps bytes that are no UTF-8 as lone surrogates."""
    retry = Retry(EqualJitterBackoff(1.0, 0.1), 3)
    return _client(url, 4, _WATCH_SECONDS, retry, encoding_errors="surrogateescape")


def _client(
    url: str, max_connections: int, answer_seconds: float, retry: Retry, **options: Any
) -> Client:
    client = Client.from_url(
        url,
        max_connections=max_connections,
        decode_responses=True,
        socket_connect_timeout=ANSWER_SECONDS,
        socket_timeout=answer_seconds,
        retry=retry,
        **options,
    )
    return cast(Client, client)


def _constant(source: str) -> str:
    """Such as "jobs.scripts.claim". Each script is a constant of a module of this library."""
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith(_LIBRARY):
            for name, value in vars(module).items():
                if value is source:
                    return f"{module_name.removeprefix(_LIBRARY)}.{name.strip('_').lower()}"
    return "script"
