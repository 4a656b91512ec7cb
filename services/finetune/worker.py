"""Claims runs one after another and carries each to its end."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from services.cluster.devices.assignments import Devices
from services.cluster.errors import HearthError, LeaseLost, NotFound, StoreUnavailable
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import TERMINAL, JobKind, JobRecord
from services.cluster.log import job_id_var
from services.cluster.tasks import end
from services.finetune.attempt import HOLDER_PREFIX, Attempt, Interrupted, TrainerLost
from services.finetune.hold import Hold
from services.finetune.workshop import Workshop

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_RETRY_PAUSE_SECONDS = 2.0  # of the first repeat; longer with each
_LONGEST_PAUSE_SECONDS = 60.0


class Worker:
    """`holder` names it in the records of its jobs."""

    def __init__(self, queue: JobQueue, workshop: Workshop, holder: str) -> None:
        self._queue = queue
        self._workshop = workshop
        self._holder = holder
        self._hold: Hold | None = None
        self._stopping = False

    async def run(self) -> None:
        """Until `stop`; the run in hand is given back with a checkpoint."""
        mark = "0-0"
        while not self._stopping:
            try:
                job = await self._queue.claim(JobKind.RUN, self._holder)
                if job is None:
                    mark = await self._queue.wait(JobKind.RUN, mark, _LOOK_SECONDS)
                    continue
            except StoreUnavailable:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            await self._work(job)

    def stop(self) -> None:
        self._stopping = True
        if self._hold:
            self._hold.stop()

    def look(self, run_id: str) -> None:
        """Somebody has changed the job: the worker need not find out by itself."""
        if self._hold and self._hold.job.job_id == run_id:
            self._hold.look()

    async def _work(self, job: JobRecord) -> None:
        job_id_var.set(job.job_id)
        log.info("run claimed", extra={"attempt": job.attempt})
        try:
            state = await self._workshop.runs.state(job.job_id)
        except StoreUnavailable:
            return  # its lease ends, and it is queued again
        lease_seconds = self._workshop.settings.run_lease_seconds
        hold = Hold(self._queue, self._workshop.runs, job, state, lease_seconds)
        self._hold = hold
        if self._stopping:
            hold.stop()
        keeping = asyncio.create_task(hold.keep(), name="hold")
        try:
            finish = await self._outcome(job, hold)
            await end(keeping)
            if not hold.lost:
                hold.tell(phase=None, device_ids=())
                await hold.patiently(hold.write)
                await hold.patiently(finish)
        except (LeaseLost, StoreUnavailable) as error:
            log.warning("run is left to others", extra={"reason": error.message})
        finally:
            await end(keeping)
            self._hold = None
            job_id_var.set("")

    async def _outcome(self, job: JobRecord, hold: Hold) -> Callable[[], Awaitable[None]]:
        """What is to be written of the job. Raises LeaseLost and StoreUnavailable."""
        queue = self._queue
        try:
            result = await Attempt(hold, self._workshop).run()
        except Interrupted:
            if hold.lost:
                raise LeaseLost(f"Run {job.job_id} was taken over.") from None
            if hold.cancelled:
                return lambda: queue.confirm_cancelled(job)
            return lambda: queue.retry(job, "The service was stopped.", 0)
        except TrainerLost as error:
            return self._repeat(job, str(error))
        except (LeaseLost, StoreUnavailable):
            raise
        except HearthError as error:
            return self._failure(job, error.message)
        except OSError as error:
            return self._failure(job, _explained(error))
        except Exception as error:  # the boundary of a run
            log.exception("run failed")
            kind = type(error).__name__
            return self._failure(job, f"A fault of Hearth's own ({kind}); the log has the details.")
        return self._success(job, result)

    def _success(self, job: JobRecord, result: dict[str, Any]) -> Callable[[], Awaitable[None]]:
        log.info("run succeeded", extra=result)
        return lambda: self._queue.succeed(job, result)

    def _failure(self, job: JobRecord, reason: str) -> Callable[[], Awaitable[None]]:
        log.error("run failed", extra={"reason": reason})
        return lambda: self._queue.fail(job, reason)

    def _repeat(self, job: JobRecord, reason: str) -> Callable[[], Awaitable[None]]:
        pause = min(_RETRY_PAUSE_SECONDS * 2 ** (job.attempt - 1), _LONGEST_PAUSE_SECONDS)
        log.warning("run is tried again", extra={"reason": reason, "pause_seconds": pause})
        return lambda: self._queue.retry(job, reason, pause)


async def release_ended(queue: JobQueue, devices: Devices) -> None:
    """Gives back devices of runs that have ended without their worker, which is gone with them."""
    for assignment in (await devices.snapshot()).assignments:
        if not assignment.holder.startswith(HOLDER_PREFIX):
            continue
        try:
            ended = (await queue.get(assignment.holder[len(HOLDER_PREFIX) :])).status in TERMINAL
        except NotFound:
            ended = True
        if ended:
            log.warning("devices of an ended run are free", extra={"holder": assignment.holder})
            await devices.release(assignment.holder)


def _explained(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The data volume is full; free some space, then create the run again."
    return f"A file could not be read or written: {error}."
