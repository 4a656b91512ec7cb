"""Scans as users see them: the job's record together with the sums of its verdicts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from services.cluster.errors import BadRequest
from services.cluster.jobs import TERMINAL, JobQueue, JobRecord
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.datascan.messages import scan_message
from services.datascan.scans import Scans
from services.datascan.verdict_pages import tallies_of
from services.datascan.verdict_store import scan_place

_EVENT_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


class ScanViews:
    def __init__(self, jobs: JobQueue, scans: Scans, data_dir: Path) -> None:
        self._jobs = jobs
        self._scans = scans
        self._data_dir = data_dir

    async def message(self, job: JobRecord) -> pb.Scan:
        place = scan_place(self._data_dir, job.job_id)
        return scan_message(job, await asyncio.to_thread(tallies_of, place))

    async def events(self, scan_id: str, after: str) -> AsyncIterator[pb.ScanEvent]:
        """Old events tell the scan as it is now, so those that would say the same are left out.

        Raises BadRequest and NotFound.
        """
        if after and not _EVENT_ID.fullmatch(after):
            raise BadRequest("after_event_id must come from a ScanEvent.", param="after_event_id")
        await self._scans.get(scan_id)
        sent: pb.Scan | None = None
        async for event in self._jobs.events(scan_id, after or "0-0"):
            scan = await self.message(await self._jobs.get(scan_id))
            if scan == sent and event.event not in TERMINAL:
                continue
            sent = scan
            yield pb.ScanEvent(event_id=event.event_id, event_at=_moment(event.event_id), scan=scan)


def _moment(event_id: str) -> Timestamp:
    """Ids of a stream begin with the server's time in milliseconds."""
    moment = Timestamp()
    moment.FromMilliseconds(int(event_id.split("-", 1)[0]))
    return moment
