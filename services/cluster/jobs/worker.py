"""Claims jobs of one kind, one after another, and carries each to its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

from services.cluster.errors import (
    DeadlineExceeded,
    HearthError,
    Internal,
    LeaseLost,
    OutOfDisk,
    Overloaded,
    StoreUnavailable,
    Unavailable,
)
from services.cluster.jobs.hold import Hold, Interrupted
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobRecord
from services.cluster.log import job_id_var
from services.cluster.tasks import end, to_its_end

log = logging.getLogger(__name__)

YIELD_SECONDS = 15.0  # so long others may take what a job gave back for them
_AWAY_SECONDS = 1.0
_STOPPED = "The service was stopped; the job goes on when it runs again."
_YIELDED = "It made room, and goes on later."

H = TypeVar("H", bound=Hold)
Settle = Callable[[], Awaitable[None]]


class TryAgain(Exception):
    """The attempt failed for a reason that another one may not meet; the text says which."""


class Worker(Generic[H]):
    """`work` does a job and answers its result.

    It raises Interrupted when its hold says that it should end; TryAgain, Unavailable, Overloaded
    or DeadlineExceeded when another attempt may succeed; another HearthError when the job has
    failed. `hold_of` makes the hold of a job; `holder` names this worker in the jobs' records. A
    job that yielded is not claimed again for `yield_seconds`.
    """

    def __init__(
        self,
        queue: JobQueue,
        kind: JobKind,
        hold_of: Callable[[JobRecord], Awaitable[H]],
        work: Callable[[H], Awaitable[Mapping[str, Any]]],
        holder: str,
        *,
        max_running: int = 0,
        yield_seconds: float = YIELD_SECONDS,
    ) -> None:
        self._queue = queue
        self._kind = kind
        self._hold_of = hold_of
        self._do = work
        self._holder = holder
        self._max_running = max_running
        self._yield_seconds = yield_seconds
        self._hold: H | None = None
        self._stopping = False

    async def run(self) -> None:
        """Until `stop` or a cancellation: the job in hand is then given back first."""
        mark = "0-0"
        while not self._stopping:
            try:
                mark = await to_its_end(asyncio.create_task(self._next(mark)), self.stop)
            except StoreUnavailable:
                await asyncio.sleep(_AWAY_SECONDS)

    async def _next(self, mark: str) -> str:
        """Does what may be claimed now, or else within about a second; where news go on."""
        queue, kind = self._queue, self._kind
        job = await queue.claim(kind, self._holder, self._max_running)
        if job is None:
            mark, job = await queue.claim_on_news(kind, self._holder, mark, self._max_running)
        if job:
            await self._work(job)
        return mark

    def stop(self) -> None:
        self._stopping = True
        if self._hold:
            self._hold.stop()

    async def _work(self, job: JobRecord) -> None:
        job_id_var.set(job.job_id)
        log.info("job claimed", extra={"kind": job.kind, "attempt": job.attempt})
        try:
            self._hold = hold = await self._hold_of(job)
            if self._stopping:
                hold.stop()
            await self._carry(hold)
        except (LeaseLost, StoreUnavailable) as error:  # its lease ends, and it is queued again
            log.warning("job is left to others", extra={"reason": error.message})
        except Exception as error:  # the boundary of a job
            log.exception("job failed by a fault")
            with contextlib.suppress(LeaseLost, StoreUnavailable):
                await self._failure(job, error)()
        finally:
            self._hold = None
            job_id_var.set("")

    async def _carry(self, hold: H) -> None:
        keeping = asyncio.create_task(hold.keep(), name=f"hold {hold.job.job_id}")
        try:
            settle = self._interruption(hold) if hold.stopping else await self._outcome(hold)
        finally:
            await end(keeping)
        while not hold.lost:
            try:
                with contextlib.suppress(StoreUnavailable):  # a full Redis takes the end only
                    await hold.write()
                await settle()
                return
            except StoreUnavailable:
                if hold.stopping:
                    raise
                with contextlib.suppress(StoreUnavailable):
                    await hold.renew()
                await asyncio.sleep(_AWAY_SECONDS)

    async def _outcome(self, hold: H) -> Settle:
        """What is to be written of the job. Raises LeaseLost and StoreUnavailable."""
        queue, job = self._queue, hold.job
        try:
            result = await self._do(hold)
            json.dumps(result)
        except Interrupted:
            return self._interruption(hold)
        except (LeaseLost, StoreUnavailable):
            raise
        except TryAgain as error:
            return self._repeat(job, str(error))
        except (Unavailable, Overloaded, DeadlineExceeded) as error:
            return self._repeat(job, error.message)
        except HearthError as error:
            return self._failure(job, error)
        except Exception as error:  # the boundary of a job's work
            log.exception("job failed by a fault")
            return self._failure(job, error)
        log.info("job's work is done", extra={"result": result})
        return lambda: queue.succeed(job, result)

    def _failure(self, job: JobRecord, error: Exception) -> Settle:
        failure = explained(error)
        log.error("job failed", extra={"reason": failure.message})
        return lambda: self._queue.fail(job, failure.message)

    def _interruption(self, hold: H) -> Settle:
        queue, job = self._queue, hold.job
        if hold.lost:
            raise LeaseLost(f"Job {job.job_id} was taken over.")
        if hold.fault:
            return self._failure(job, hold.fault)
        if hold.cancelled:
            return lambda: queue.confirm_cancelled(job)
        why, pause = (_STOPPED, 0.0) if hold.stopping else (_YIELDED, self._yield_seconds)
        log.info("job is given back", extra={"reason": why})
        return lambda: queue.give_back(job, why, pause)

    def _repeat(self, job: JobRecord, reason: str) -> Settle:
        log.warning("job is tried again", extra={"reason": reason})
        return lambda: self._queue.retry(job, reason)


def explained(error: Exception) -> HearthError:
    """What a job's record says of an error that ended it."""
    if isinstance(error, HearthError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutOfDisk("The data volume is full: make room on it, then start the job again.")
    if isinstance(error, OSError):
        return HearthError(f"A file could not be read or written: {error}.")
    return Internal(
        f"A fault of Hearth's own ({type(error).__name__}); the log of the service has the details."
    )
