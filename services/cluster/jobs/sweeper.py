"""Puts back the jobs whose worker was lost, once it is sure that the worker could have been heard.

While Redis is away nobody can renew a lease, so an expired one proves nothing until Redis has
answered for one whole lease again. Neither does what was true before this process slept.
"""

from __future__ import annotations

import asyncio
import logging
import time

from services.cluster.errors import StoreUnavailable
from services.cluster.jobs.metrics import OLDEST, OPEN
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind

log = logging.getLogger(__name__)

_PASSES_IN_A_LEASE = 6
_LONGEST_PASS = 0.5  # of a lease; after a longer one nobody knows what happened meanwhile


class Sweeper:
    """Of one kind of job. Any number may run."""

    def __init__(self, queue: JobQueue, kind: JobKind) -> None:
        self._queue = queue
        self._kind = kind
        self._answered_since: float | None = None
        self._looked_at = float("-inf")

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.look(time.monotonic())
            await asyncio.sleep(self._queue.lease_seconds / _PASSES_IN_A_LEASE)

    async def look(self, now: float) -> int:
        """One pass; how many jobs were put back. `now` of a monotonic clock."""
        lease_seconds = self._queue.lease_seconds
        try:
            asked_at = time.monotonic()
            up_seconds = await self._queue.redis_up_seconds()
            now += time.monotonic() - asked_at  # it may have been away while it was asked
            if now - self._looked_at > lease_seconds * _LONGEST_PASS:
                self._answered_since = None
            self._looked_at = now
            if self._answered_since is None:
                self._answered_since = now
            # Whole seconds, rounded down: a restart between two looks is seen here.
            if min(up_seconds, now - self._answered_since) < lease_seconds:
                return 0
            lost = await self._queue.sweep(self._kind)
            await self._measure()
        except StoreUnavailable:
            self._answered_since = None
            return 0
        if lost:
            log.warning("workers were lost", extra={"kind": self._kind, "jobs": lost})
        return len(lost)

    async def _measure(self) -> None:
        census = await self._queue.census(self._kind)
        OPEN.labels(self._kind, "queued").set(census.num_queued)
        OPEN.labels(self._kind, "waiting").set(census.num_waiting)
        OPEN.labels(self._kind, "running").set(census.num_running)
        OLDEST.labels(self._kind).set(census.oldest_seconds)
