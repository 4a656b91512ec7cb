"""The registry as one process sees it: always at hand, also while Redis is away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType

from services.cluster.errors import StoreUnavailable
from services.cluster.registry import BEAT_SECONDS, ClusterView, Registry
from services.cluster.store.backoff import Backoff
from services.cluster.tasks import end

log = logging.getLogger(__name__)


class RegistryCache:
    """Holds the newest view, also while Redis is away."""

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
        backoff = Backoff()
        while True:
            try:
                async for view in self._registry.watch():
                    backoff.reset()
                    self._take(view)
            except Exception:  # the loop's boundary: a view that stands still would go unnoticed
                log.exception("following the registry failed; it is read again")
                await backoff.pause()


class Heartbeat:
    """Puts a record again and again while the block runs; a Redis outage is logged once.

    After an outage it is put within about a second.

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
        backoff = Backoff()
        while True:
            if away:
                await backoff.pause()
            else:
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
                backoff.reset()
