"""A worker's hold of a run: renews the lease, tells how it goes, hears of a cancellation.

Everything that a run leaves behind (checkpoint, evaluation, adapter) is written only while the hold
is confirmed, so a worker that slept through its lease writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from services.cluster.errors import LeaseLost, StoreUnavailable
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobProgress, JobRecord
from services.cluster.runs import Runs, RunState

log = logging.getLogger(__name__)

_WRITE_SECONDS = 1.0  # a record is written at most so often
_BEATS_IN_A_LEASE = 10
_RETRY_SECONDS = 0.5

T = TypeVar("T")


class Hold:
    """`interrupted` is set when the work should end: cancelled, lost, or the service stops."""

    def __init__(
        self, queue: JobQueue, runs: Runs, job: JobRecord, state: RunState, lease_seconds: float
    ) -> None:
        self.job = job
        self.state = state
        self.resume: Mapping[str, Any] | None = job.resume
        self.cancelled = False
        self.lost = False
        self.stopping = False
        self.interrupted = asyncio.Event()
        self._queue = queue
        self._runs = runs
        self._lease_seconds = lease_seconds
        self._confirmed_at = time.monotonic()
        self._due = asyncio.Event()
        self._written: RunState | None = None

    def tell(self, **changes: object) -> None:
        """Changes what others see of the run, within a second."""
        self.state = self.state.model_copy(update=changes)

    def look(self) -> None:
        """Asks for news of the job at once: it may have been cancelled."""
        self._due.set()

    def stop(self) -> None:
        """The service ends: the run is to go on elsewhere."""
        self.stopping = True
        self.interrupted.set()

    def guard(self) -> None:
        """Raises LeaseLost unless the hold was confirmed within the lease."""
        if self.lost or time.monotonic() - self._confirmed_at > self._lease_seconds:
            raise LeaseLost(f"{self.job.holder} lost run {self.job.job_id}; nothing was written.")

    async def confirm(self) -> None:
        """Returns when the lease was just renewed. Raises LeaseLost."""
        await self.patiently(self._beat)

    async def ensure(self) -> None:
        """Confirms only what may have lapsed, so it costs nothing as a rule. Raises LeaseLost."""
        if time.monotonic() - self._confirmed_at > self._lease_seconds:
            await self.confirm()

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeats a call of Redis until it answers: work is not thrown away for an outage."""
        while True:
            try:
                return await call()
            except StoreUnavailable as error:
                if self.stopping:
                    raise
                log.warning("a run waits for Redis", extra={"reason": error.message})
                await asyncio.sleep(_RETRY_SECONDS)

    async def keep(self) -> None:
        """Until it is cancelled or the run is lost."""
        beat_seconds = self._lease_seconds / _BEATS_IN_A_LEASE
        beat_at = time.monotonic()
        while not self.lost:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), min(_WRITE_SECONDS, beat_seconds))
            asked = self._due.is_set()
            self._due.clear()
            try:
                if asked or time.monotonic() >= beat_at:
                    await self._beat()
                    beat_at = time.monotonic() + beat_seconds
                await self.write()
            except StoreUnavailable:
                continue
            except LeaseLost:
                return

    async def write(self) -> None:
        """The state, if it has changed. Raises LeaseLost."""
        state = self.state
        if state != self._written:
            await self._noting_loss(self._runs.put_state(self.job, state))
            self._written = state

    async def _beat(self) -> None:
        goes_on = await self._noting_loss(
            self._queue.heartbeat(self.job, _progress(self.state, self.job), self.resume)
        )
        self._confirmed_at = time.monotonic()
        if not goes_on and not self.cancelled:
            self.cancelled = True
            self.interrupted.set()

    async def _noting_loss(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except LeaseLost:
            self.lost = True
            self.interrupted.set()
            raise


def _progress(state: RunState, job: JobRecord) -> JobProgress:
    num_total = int(job.payload["plan"]["parameters"]["trainSteps"])
    return JobProgress(
        fraction=min(state.num_done_steps / num_total, 1.0),
        num_done=state.num_done_steps,
        num_total=num_total,
        remaining_seconds=remaining_seconds(state, num_total),
        message=state.detail[:500],
    )


def remaining_seconds(state: RunState, num_total_steps: int) -> float | None:
    """Of training, as fast as it went so far; None while unknown."""
    if not state.num_done_steps or not state.trained_seconds:
        return None
    left = num_total_steps - state.num_done_steps
    return left * state.trained_seconds / state.num_done_steps
