"""A worker's hold of a job: renews the lease, tells how it goes, hears that it should end.

Whatever a job leaves behind is written only while the hold is confirmed, so a worker that slept
through its lease writes nothing.
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
from services.cluster.jobs.records import JobProgress, JobRecord, JobSignal
from services.cluster.tasks import end

log = logging.getLogger(__name__)

_TELL_SECONDS = 1.0  # news are written at most so often
_BEATS_IN_A_LEASE = 6
_RETRY_SECONDS = 0.5
_TIDY_SECONDS = 10.0

T = TypeVar("T")


class Interrupted(Exception):
    """The work is to end before it is done; the hold says why."""


class Hold:
    """`interrupted` is set when the work should end: one of the four reasons is then true.

    Or there is a `fault`, for which the hold could not be kept.
    """

    def __init__(self, queue: JobQueue, job: JobRecord) -> None:
        self.job = job
        self.progress = job.progress
        self.resume: Mapping[str, Any] | None = job.resume
        self.cancelled = False
        self.lost = False
        self.stopping = False
        self.yielding = False
        self.interrupted = asyncio.Event()
        self._queue = queue
        self.fault: Exception | None = None
        self._confirmed_at = time.monotonic()
        self._due = asyncio.Event()
        self._told: tuple[JobProgress | None, Mapping[str, Any] | None] = (job.progress, job.resume)

    def tell(self, progress: JobProgress) -> None:
        """Others see it within a second."""
        self.progress = progress

    def look(self) -> None:
        """Asks for news of the job at once: it may have been cancelled."""
        self._due.set()

    def cancel(self) -> None:
        """What the job is for is not wanted any more."""
        self.cancelled = True
        self.interrupted.set()

    def stop(self) -> None:
        """The process ends: the job is to go on elsewhere."""
        self.stopping = True
        self.interrupted.set()

    def guard(self) -> None:
        """Raises LeaseLost unless the hold was confirmed within the lease."""
        if self.lost or self._lapsed():
            raise LeaseLost(f"{self.job.holder} lost job {self.job.job_id}; nothing was written.")

    async def confirm(self) -> None:
        """Returns when the lease was just renewed. Raises LeaseLost."""
        await self.patiently(self.renew)

    async def ensure(self) -> None:
        """Confirms only what may have lapsed, so it costs nothing as a rule. Raises LeaseLost."""
        if self._lapsed():
            await self.confirm()

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeats a call of Redis until it answers: work is not thrown away for an outage."""
        while True:
            try:
                return await call()
            except StoreUnavailable as error:
                if self.stopping:
                    raise
                log.warning("a job waits for Redis", extra={"reason": error.message})
                await asyncio.sleep(_RETRY_SECONDS)

    async def unless_interrupted(self, work: Awaitable[T]) -> T:
        """Raises Interrupted, with the work cancelled, or LeaseLost."""
        task = asyncio.ensure_future(work)
        interrupted = asyncio.ensure_future(self.interrupted.wait())
        try:
            await asyncio.wait({task, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self.check()
            return task.result()
        finally:
            interrupted.cancel()
            task.cancel()
            await asyncio.wait({task}, timeout=_TIDY_SECONDS)  # it puts away what it began
            await end(task)

    def check(self) -> None:
        """Raises Interrupted when the work is to end, LeaseLost when it is another's.

        Raises the fault with which `keep` has ended, if it has.
        """
        if self.fault:
            raise self.fault
        if self.lost:
            raise LeaseLost(f"Job {self.job.job_id} was taken over.")
        if self.interrupted.is_set():
            raise Interrupted

    async def keep(self) -> None:
        """Until it is cancelled or the job is lost."""
        following = asyncio.create_task(self._follow(), name=f"follow {self.job.job_id}")
        try:
            await self._keep()
        except Exception as error:  # else the work would go on without a lease
            log.exception("the hold of a job failed")
            self.fault = error
            self.interrupted.set()
        finally:
            await end(following)

    async def write(self) -> None:
        """What has changed since it was last told. Raises LeaseLost."""
        if (self.progress, self.resume) != self._told:
            await self.renew()

    async def _keep(self) -> None:
        beat_seconds = self._queue.lease_seconds / _BEATS_IN_A_LEASE
        while not self.lost:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), min(_TELL_SECONDS, beat_seconds))
            asked = self._due.is_set()
            self._due.clear()
            try:
                if asked or time.monotonic() - self._confirmed_at >= beat_seconds:
                    await self.renew()
                await self.write()
            except StoreUnavailable:
                continue
            except LeaseLost:
                return

    async def _follow(self) -> None:
        """Asks for the job's signal when there is news of it: sooner than the next beat."""
        mark = ""
        while True:
            try:
                mark = mark or await self._queue.mark(self.job.kind)
                mark, whose = await self._queue.wait(self.job.kind, mark, _TELL_SECONDS)
            except StoreUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if self.job.job_id in whose:
                self.look()

    async def renew(self) -> None:
        """Raises LeaseLost and StoreUnavailable."""
        progress, resume = news = (self.progress, self.resume)
        told_progress, told_resume = self._told
        signal = await self.noting_loss(
            self._queue.heartbeat(
                self.job,
                progress if progress != told_progress else None,
                resume if resume != told_resume else None,
            )
        )
        self._told = news
        self._confirmed_at = time.monotonic()
        self.cancelled |= signal is JobSignal.CANCEL
        self.yielding |= signal is JobSignal.YIELD
        if signal is not JobSignal.GO_ON:
            self.interrupted.set()

    async def noting_loss(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except LeaseLost:
            self.lost = True
            self.interrupted.set()
            raise

    def _lapsed(self) -> bool:
        return time.monotonic() - self._confirmed_at > self._queue.lease_seconds
