"""The registry as one process sees it: always at hand, also while Redis is away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import TracebackType

from services.cluster.errors import StoreUnavailable
from services.cluster.registry import BEAT_SECONDS, SEEN_SECONDS, ClusterView, Registry
from services.cluster.tasks import end

log = logging.getLogger(__name__)

_OUTAGE_SECONDS = 8.0
_RETRY_SECONDS = 0.5


class RegistryCache:
    """Holds the newest view.

    After Redis was away, records that must be renewed are missing only because nobody could renew
    them: those known before stay in the view until Redis has answered for `SEEN_SECONDS`.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.view = ClusterView()

    async def start(self) -> None:
        """Returns when the first view is there. Raises StoreUnavailable when Redis is away."""
        self.view = await self._registry.view()
        self._task = asyncio.create_task(self._follow(), name="registry-cache")

    async def close(self) -> None:
        await end(self._task)

    async def changed(self) -> ClusterView:
        """Waits for the next view that differs from the one at hand."""
        await self._changed.wait()
        return self.view

    async def refresh(self) -> ClusterView:
        """The view with everything that was acknowledged before the call.

        Raises StoreUnavailable.
        """
        self._take(await self._registry.view())
        return self.view

    def _take(self, view: ClusterView) -> None:
        if view != self.view:
            self.view = view
            self._changed.set()
            self._changed = asyncio.Event()

    async def _follow(self) -> None:
        while True:
            try:
                await self._follow_watch()
            except Exception:  # the loop's boundary: a view that stands still would go unnoticed
                log.exception("following the registry failed; it is read again")
                await asyncio.sleep(_RETRY_SECONDS)

    async def _follow_watch(self) -> None:
        answered_at = time.monotonic()
        outage_ended_at = float("-inf")
        known = self.view
        async for fresh in self._registry.watch():
            now = time.monotonic()
            if now - answered_at > _OUTAGE_SECONDS:
                outage_ended_at, known = now, self.view
            answered_at = now
            view = fresh
            if now - outage_ended_at < SEEN_SECONDS:
                view = replace(
                    fresh,
                    replicas={**known.replicas, **fresh.replicas},
                    processes={**known.processes, **fresh.processes},
                )
            self._take(view)


class Heartbeat:
    """Puts a record again and again while the block runs; a Redis outage is logged once.

    `beat()` puts it at once, for a change that others should see now.
    """

    def __init__(
        self, put: Callable[[], Awaitable[None]], every_seconds: float = BEAT_SECONDS
    ) -> None:
        self._put = put
        self._every_seconds = every_seconds
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Heartbeat:
        await self._put()
        self._task = asyncio.create_task(self._run(), name="heartbeat")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await end(self._task)

    def beat(self) -> None:
        self._due.set()

    async def _run(self) -> None:
        away = False
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), self._every_seconds)
            self._due.clear()
            try:
                await self._put()
            except StoreUnavailable as error:
                if not away:
                    log.warning("heartbeat waits for Redis", extra={"reason": error.message})
                away = True
            except Exception:  # the loop's boundary: without a beat this process is forgotten
                log.exception("a heartbeat failed; the next one is tried")
            else:
                away = False
