"""Starting scans: one of a project is open at a time, and the newest wins."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from services.cluster.errors import Conflict, NotFound, StoreUnavailable
from services.cluster.jobs import TERMINAL, JobKind, JobQueue, JobRecord, JobStatus
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.cluster.project_records import ProjectRecord
from services.cluster.projects import Projects
from services.cluster.sources import Sources
from services.datascan.scan_payload import digest, payload_of, with_defaults

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_MAX_ATTEMPTS = 20  # a stop of the process counts as one too


class Scans:
    def __init__(self, jobs: JobQueue, projects: Projects, sources: Sources) -> None:
        self._jobs = jobs
        self._projects = projects
        self._sources = sources

    async def start(
        self,
        project_id: str,
        trigger: pb.ScanTrigger.ValueType,
        *,
        refresh: bool = False,
        from_scratch: bool = False,
    ) -> JobRecord:
        """A queued scan that would do the same, or a new one for which an open one makes way.

        Raises NotFound, and Conflict when a user asks for a scan of nothing.
        """
        while True:
            view = await self._projects.get(project_id)
            source_ids = [source.source_id for source, _ in await self._sources.all(project_id)]
            # After the last source was deleted a scan has to run: its dataset is empty.
            if not source_ids and trigger == pb.SCAN_TRIGGER_USER:
                raise Conflict("The project has no source to scan; upload one first.")
            payload = payload_of(
                pb.ScanJob(
                    schema_version=1,
                    project_id=project_id,
                    team_id=view.project.team_id,
                    trigger=trigger,
                    refresh=refresh,
                    from_scratch=from_scratch,
                    source_ids=source_ids,
                    filters=filters_in_force(view.project),
                    model=view.project.finetune_model,
                )
            )
            latest = view.latest_scan_id
            open_job = await self._open(latest)
            if open_job:
                same = digest(open_job.payload) == digest(payload)
                if same and open_job.status is JobStatus.QUEUED:
                    return open_job
                await self.cancel_if_open(open_job.job_id)
            job = await self._jobs.enqueue(
                JobKind.SCAN,
                payload,
                # Two who start at the same time, and one who repeats after a fall, get one scan.
                idempotency_key=f"{project_id}/{latest}/{digest(payload)}",
                max_attempts=_MAX_ATTEMPTS,
                project_id=project_id,
                team_id=view.project.team_id,
            )
            if await self._projects.record_scan(project_id, latest, job.job_id):
                return job
            await self.cancel_if_open(job.job_id)

    async def get(self, scan_id: str) -> JobRecord:
        """Raises NotFound, also for a job of another kind."""
        with contextlib.suppress(NotFound):
            job = await self._jobs.get(scan_id)
            if job.kind is JobKind.SCAN:
                return job
        raise NotFound(f"There is no scan {scan_id}.")

    async def cancel(self, scan_id: str) -> JobRecord:
        """Raises NotFound, and Conflict when it has ended."""
        await self.get(scan_id)
        return await self._jobs.cancel(scan_id)

    async def cancel_if_open(self, scan_id: str) -> None:
        with contextlib.suppress(Conflict):
            await self._jobs.cancel(scan_id)

    async def _open(self, scan_id: str) -> JobRecord | None:
        job = await self.get(scan_id) if scan_id else None
        return job if job and job.status not in TERMINAL else None


class ScanSchedule:
    """Starts the scans that changes of sources made due."""

    def __init__(self, scans: Scans, projects: Projects) -> None:
        self._scans = scans
        self._projects = projects

    async def run(self) -> None:
        while True:
            with contextlib.suppress(StoreUnavailable):
                await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        for project_id, mark in await self._projects.due():
            with contextlib.suppress(NotFound):  # deleted since
                job = await self._scans.start(project_id, pb.SCAN_TRIGGER_SOURCES)
                log.info("sources changed", extra={"project_id": project_id, "scan": job.job_id})
            # Last, so that a fall in between starts the same scan again, which changes nothing.
            await self._projects.settle_due(project_id, mark)


def filters_in_force(project: ProjectRecord) -> pb.ScanFilters:
    return with_defaults(pb.ScanFilters(project_id=project.project_id, team_id=project.team_id))
