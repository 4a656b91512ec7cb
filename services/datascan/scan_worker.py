"""Claims scans and runs them one after another."""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable

from services.cluster.errors import (
    Conflict,
    DeadlineExceeded,
    HearthError,
    Internal,
    LeaseLost,
    OutOfDisk,
    Overloaded,
    StoreUnavailable,
    Unavailable,
)
from services.cluster.jobs.records import JobKind, JobRecord
from services.cluster.log import job_id_var
from services.cluster.tasks import end
from services.datascan.scan_attempt import ScanAttempt, Workplace
from services.datascan.scan_progress import ScanProgress, ScanStopped

log = logging.getLogger(__name__)

_BEAT_SECONDS = 0.5  # so soon a running scan learns that it was cancelled
_PROGRESS_SECONDS = 1.0
_WAIT_SECONDS = 5.0
_AWAY_SECONDS = 1.0
_RETRY_SECONDS = 15.0
_STOPPED = "The data scan was stopped; the scan goes on when it runs again."


class ScanWorker:
    """`holder` is the process's id."""

    def __init__(self, place: Workplace, holder: str) -> None:
        self._place = place
        self._jobs = place.jobs
        self._holder = holder

    async def run(self) -> None:
        mark = "0-0"
        while True:
            try:
                job = await self._jobs.claim(JobKind.SCAN, self._holder)
                if job is None:
                    mark = await self._jobs.wait(JobKind.SCAN, mark, _WAIT_SECONDS)
                    continue
            except StoreUnavailable:
                await asyncio.sleep(_AWAY_SECONDS)
                continue
            job_id_var.set(job.job_id)
            await self._attempt(job)
            job_id_var.set("")

    async def _attempt(self, job: JobRecord) -> None:
        log.info("scan begins", extra={"attempt": job.attempt})
        progress = ScanProgress()
        work = asyncio.create_task(self._work(job, progress), name=f"scan {job.job_id}")
        beat = asyncio.create_task(self._beat(job, progress), name=f"beat {job.job_id}")
        try:
            await asyncio.wait({work, beat}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await end(work)
            await end(beat)
            await self._settle(lambda: self._jobs.retry(job, _STOPPED, 0.0))
            raise
        finished = work.done()
        await end(work)
        await end(beat)
        if finished:
            await self._settle(work.result())
        elif beat.exception() is None:
            await self._settle(lambda: self._jobs.confirm_cancelled(job))
        else:
            log.warning("scan lost", extra={"reason": str(beat.exception())})
        log.info("scan ends")

    async def _work(self, job: JobRecord, progress: ScanProgress) -> Callable[[], Awaitable[None]]:
        """What is to be written into the job's record."""
        try:
            result = await ScanAttempt(self._place, job, progress).run()
        except LeaseLost as error:
            log.warning("scan lost", extra={"reason": error.message})
            return _nothing
        except (ScanStopped, Conflict):
            return lambda: self._jobs.confirm_cancelled(job)
        except (Unavailable, Overloaded, DeadlineExceeded) as error:
            message = error.message
            return lambda: self._jobs.retry(job, message, _RETRY_SECONDS)
        except Exception as error:  # the boundary of a job
            failure = _explained(error)
            log.error("scan failed", exc_info=error, extra={"reason": failure.message})
            return lambda: self._jobs.fail(job, failure.message)
        return lambda: self._jobs.succeed(job, result)

    async def _beat(self, job: JobRecord, progress: ScanProgress) -> None:
        """Until the scan was cancelled. Raises LeaseLost. Goes on while Redis is away."""
        told_at = float("-inf")
        while True:
            due = time.monotonic() - told_at >= _PROGRESS_SECONDS
            told, resume = progress.told() if due else (None, None)
            try:
                if not await self._jobs.heartbeat(job, told, resume):
                    return
                told_at = time.monotonic() if due else told_at
            except StoreUnavailable as error:
                log.warning("scan goes on without Redis", extra={"reason": error.message})
            await asyncio.sleep(_BEAT_SECONDS)

    async def _settle(self, write: Callable[[], Awaitable[None]]) -> None:
        """Waits for Redis, since the work is done; another worker may have taken it meanwhile."""
        while True:
            try:
                await write()
            except StoreUnavailable:
                await asyncio.sleep(_AWAY_SECONDS)
            except LeaseLost as error:
                log.warning("scan lost", extra={"reason": error.message})
                return
            else:
                return


def _explained(error: Exception) -> HearthError:
    if isinstance(error, HearthError):
        return error
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    if full or (isinstance(error, sqlite3.OperationalError) and "full" in str(error)):
        return OutOfDisk("The data volume is full: make room on it and start the scan again.")
    return Internal("The data scan met a fault of its own; its log has the details.")


async def _nothing() -> None:
    return
