"""Scans as jobs of a worker: what one attempt does, and what its record shows meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from typing import Any

from services.cluster.datasets import NotWanted
from services.cluster.errors import OutOfDisk
from services.cluster.jobs.hold import Interrupted
from services.cluster.jobs.records import JobKind, JobRecord
from services.cluster.jobs.worker import Worker
from services.datascan.scan_attempt import ScanAttempt, Workplace
from services.datascan.scan_hold import ScanHold


def scan_worker(place: Workplace, holder: str) -> Worker[ScanHold]:
    """`holder` is the process's id."""

    async def hold_of(job: JobRecord) -> ScanHold:
        return ScanHold(place.jobs, job)

    async def work(hold: ScanHold) -> Mapping[str, Any]:
        job, fences = hold.job, place.artifacts.fences
        try:
            await asyncio.to_thread(fences.raise_to, job.job_id, job.token)
            return await hold.unless_interrupted(ScanAttempt(place, hold).run())
        except NotWanted:
            hold.cancel()  # its project was deleted, or it was cancelled just now
            raise Interrupted from None
        except sqlite3.OperationalError as error:
            if "full" not in str(error):
                raise
            raise OutOfDisk(
                "The data volume is full: make room on it, then start the scan again."
            ) from error

    return Worker(place.jobs, JobKind.SCAN, hold_of, work, holder)
