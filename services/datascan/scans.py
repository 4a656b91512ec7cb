"""Starting scans: one of a project is open at a time, and the newest wins."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import Sequence

from services.cluster.errors import Conflict, NotFound, StoreUnavailable
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import TERMINAL, JobKind, JobRecord
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.cluster.project_records import ProjectRecord, SourceRecord
from services.cluster.projects import Projects
from services.cluster.sources import Sources
from services.datascan.scan_payload import digest, payload_of, with_defaults

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_MAX_ATTEMPTS = 20  # an engine may be away for long
# Beside the fields of ScanJob, for comparing only: a source that is replaced keeps its id.
_SOURCES_DIGEST = "sourcesDigest"


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
        """An open scan that does the same, or a new one for which an open one makes way.

        Raises NotFound, and Conflict when a user asks for a scan of nothing.
        """
        while True:
            view = await self._projects.get(project_id)
            sources = [source for source, _ in await self._sources.all(project_id)]
            # After the last source was deleted a scan has to run: its dataset is empty.
            if not sources and trigger == pb.SCAN_TRIGGER_USER:
                raise Conflict("The project has no source to scan; upload one first.")
            payload = payload_of(
                pb.ScanJob(
                    schema_version=1,
                    project_id=project_id,
                    team_id=view.project.team_id,
                    trigger=trigger,
                    refresh=refresh,
                    from_scratch=from_scratch,
                    source_ids=[source.source_id for source in sources],
                    filters=filters_in_force(view.project),
                    model=view.project.finetune_model,
                )
            )
            payload[_SOURCES_DIGEST] = _digest_of(sources)
            latest = view.latest_scan_id
            open_job = await self._open(latest)
            if open_job:
                same = digest(open_job.payload) == digest(payload)
                if same and not open_job.cancel_requested:
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

    async def known(self, scan_ids: Sequence[str]) -> list[JobRecord]:
        """Those that were not forgotten."""
        jobs = []
        for scan_id in scan_ids:
            with contextlib.suppress(NotFound):
                jobs.append(await self.get(scan_id))
        return jobs

    async def cancel(self, scan_id: str) -> JobRecord:
        """Raises NotFound, and Conflict when it has ended."""
        await self.get(scan_id)
        return await self._jobs.cancel(scan_id)

    async def cancel_if_open(self, scan_id: str) -> None:
        with contextlib.suppress(Conflict, NotFound):  # the oldest ended ones are forgotten
            await self._jobs.cancel(scan_id)

    async def _open(self, scan_id: str) -> JobRecord | None:
        with contextlib.suppress(NotFound):
            job = await self.get(scan_id)
            return job if job.status not in TERMINAL else None
        return None


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


def _digest_of(sources: Sequence[SourceRecord]) -> str:
    """Of everything of the sources that a scan reads; uploaded bytes never change in place."""
    read = [[s.source_id, s.artifact_id, s.name, s.split, s.file_name] for s in sources]
    return hashlib.sha256(json.dumps(read).encode()).hexdigest()[:16]
