"""A worker's hold of a scan: its record shows what the scan's thread counts."""

from __future__ import annotations

from services.cluster.jobs.hold import Hold
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobRecord
from services.datascan.scan_progress import ScanProgress


class ScanHold(Hold):
    def __init__(self, queue: JobQueue, job: JobRecord) -> None:
        super().__init__(queue, job)
        self.scan = ScanProgress()

    async def write(self) -> None:
        self.progress, self.resume = self.scan.told()
        await super().write()
