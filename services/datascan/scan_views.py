"""Scans as users see them: the job's record together with the sums of its verdicts."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from services.cluster.errors import BadRequest
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import TERMINAL, JobRecord
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.datascan.messages import scan_message
from services.datascan.scans import Scans
from services.datascan.verdict_pages import tallies_of
from services.datascan.verdict_store import scan_place

_EVENT_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
_ID_LIMIT = 2**64
_FIRST = "0-0"


class ScanViews:
    def __init__(self, jobs: JobQueue, scans: Scans, data_dir: Path) -> None:
        self._jobs = jobs
        self._scans = scans
        self._data_dir = data_dir

    async def message(self, job: JobRecord) -> pb.Scan:
        place = scan_place(self._data_dir, job.job_id)
        return scan_message(job, await asyncio.to_thread(tallies_of, place))

    async def events(self, scan_id: str, after: str) -> AsyncGenerator[pb.ScanEvent]:
        """Old events tell the scan as it is now, so those that would say the same are left out.

        The last one tells how the scan ended, also to those who have seen all before it.
        Raises BadRequest and NotFound.
        """
        newest = _place_after(after)
        job = await self._scans.get(scan_id)
        told: JobRecord | None = None
        if job.status not in TERMINAL:
            told = job
            yield await self._event(newest, job)
            async for event in self._jobs.events(scan_id, newest):
                newest = event.event_id
                job = await self._jobs.get(scan_id)
                if job != told:
                    told = job
                    yield await self._event(newest, job)
        if told is None or told.status not in TERMINAL:
            job = await self._scans.get(scan_id)
            yield await self._event(max(newest, _end_of(job), key=_parts), job)

    async def _event(self, event_id: str, job: JobRecord) -> pb.ScanEvent:
        scan = await self.message(job)
        return pb.ScanEvent(event_id=event_id, event_at=_moment(event_id), scan=scan)


def _place_after(event_id: str) -> str:
    """Where to go on. Raises BadRequest."""
    if not event_id:
        return _FIRST
    found = _EVENT_ID.fullmatch(event_id)
    if not found or any(int(part) >= _ID_LIMIT for part in found.groups()):
        raise BadRequest("after_event_id must come from a ScanEvent.", param="after_event_id")
    # One of the future is of a Redis that was lost. A clock that is wrong repeats events only.
    return event_id if _parts(event_id)[0] <= time.time() * 1000 else _FIRST


def _end_of(job: JobRecord) -> str:
    """About the id of a scan's last event, which may not be kept any more."""
    return f"{int((job.finished_at or 0) * 1000)}-0"


def _parts(event_id: str) -> tuple[int, int]:
    milliseconds, number = event_id.split("-")
    return int(milliseconds), int(number)


def _moment(event_id: str) -> Timestamp:
    """Ids of a stream begin with the server's time in milliseconds."""
    moment = Timestamp()
    moment.FromMilliseconds(_parts(event_id)[0])
    return moment
