"""Puts back the jobs whose worker was lost, once it is sure that the worker could have been heard.

While Redis is away nobody can renew a lease, so an expired one proves nothing until Redis has
answered for one whole lease again.
"""

from __future__ import annotations

import asyncio
import logging
import time

from services.cluster.errors import StoreUnavailable
from services.cluster.jobs.queue import LEASE_SECONDS, JobQueue
from services.cluster.jobs.records import JobKind

log = logging.getLogger(__name__)

_PASSES_IN_A_LEASE = 6


class Sweeper:
    """Of one kind of job."""

    def __init__(
        self, queue: JobQueue, kind: JobKind, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self._queue = queue
        self._kind = kind
        self._lease_seconds = lease_seconds
        self._answered_since: float | None = None

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.look(time.monotonic())
            await asyncio.sleep(self._lease_seconds / _PASSES_IN_A_LEASE)

    async def look(self, now: float) -> int:
        """One pass; how many jobs were put back. `now` of a monotonic clock."""
        try:
            await self._queue.history(self._kind, count=1)  # does Redis answer?
            if self._answered_since is None:
                self._answered_since = now
            if now - self._answered_since < self._lease_seconds:
                return 0
            num_lost = await self._queue.sweep(self._kind)
        except StoreUnavailable:
            self._answered_since = None
            return 0
        if num_lost:
            log.warning("workers were lost", extra={"kind": self._kind, "num_jobs": num_lost})
        return num_lost
