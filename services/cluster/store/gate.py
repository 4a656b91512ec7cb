"""While Redis is away one asks for all who watch; a thousand that ask keep it from coming back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from services.cluster.errors import StoreUnavailable
from services.cluster.store.backoff import Backoff
from services.cluster.tasks import end

_SPREAD_SECONDS = 0.5


class Gate:
    """`ask` raises StoreUnavailable while Redis is away."""

    def __init__(self, ask: Callable[[], Awaitable[None]]) -> None:
        self._ask = ask
        self._asking: asyncio.Task[None] | None = None
        self._refusal: StoreUnavailable | None = None
        self._is_closed = False

    def shut(self, refusal: StoreUnavailable) -> None:
        """Until Redis answers again."""
        if self._asking is None and not self._is_closed:
            self._refusal = refusal
            self._asking = asyncio.create_task(self._until_answered(), name="redis-gate")

    async def passed(self, within_seconds: float, *, spread: bool) -> None:
        """Returns when the gate is open: at once, or with `spread` not all in the same moment.

        Raises StoreUnavailable when it stays shut.
        """
        if self._is_closed:
            raise StoreUnavailable("This process has closed its connections to Redis.")
        if self._asking is None:
            return
        await asyncio.wait({self._asking}, timeout=within_seconds)
        if self._asking is not None and self._refusal is not None:
            raise StoreUnavailable(
                self._refusal.message, retry_after_seconds=self._refusal.retry_after_seconds
            )
        if spread:
            await asyncio.sleep(random.uniform(0, _SPREAD_SECONDS))

    async def close(self) -> None:
        """Nobody passes any more, and nobody is asked for: a connection would be opened again."""
        self._is_closed = True
        await end(self._asking)

    async def _until_answered(self) -> None:
        backoff = Backoff()
        try:
            while True:
                await backoff.pause()
                try:
                    await self._ask()
                except StoreUnavailable as refusal:
                    self._refusal = refusal
                else:
                    return
        finally:
            self._asking = None
