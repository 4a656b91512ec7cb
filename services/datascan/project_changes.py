"""Projects and sources as people change them, with everything that has to go along."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.errors import BadRequest, Conflict, NotFound
from services.cluster.jobs.records import TERMINAL, JobKind
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.cluster.project_records import ProjectRecord, ProjectView, SourceRecord
from services.cluster.registry import Registry
from services.datascan import specs
from services.datascan.loss_memory import delete_losses
from services.datascan.scan_attempt import Workplace
from services.datascan.scans import Scans
from services.datascan.uploads import delete_content
from services.datascan.verdict_store import delete_scan

_JOBS_PAGE = 100


class ProjectChanges:
    def __init__(self, place: Workplace, registry: Registry, scans: Scans) -> None:
        self._place = place
        self._projects = place.projects
        self._sources = place.sources
        self._registry = registry
        self._scans = scans

    async def create(self, request: pb.CreateProjectRequest) -> ProjectView:
        """Raises BadRequest and Conflict."""
        if not request.team_id:
            raise BadRequest("A project belongs to a team: name it by team_id.", param="team_id")
        now = time.time()
        fields = {name: read(request.spec) for name, read in specs.PROJECT_FIELDS.items()}
        project = ProjectRecord(
            project_id=f"project-{uuid.uuid4().hex[:12]}",
            team_id=request.team_id,
            created_at=now,
            updated_at=now,
            **fields,
        )
        await self._projects.create(project)
        return ProjectView(project=project)

    async def update(self, request: pb.UpdateProjectRequest) -> ProjectView:
        """Raises BadRequest, Conflict and NotFound."""
        changes = specs.project_changes(request.spec, request.update_mask)
        changes["updated_at"] = time.time()
        await self._projects.change(
            request.project_id, lambda project: project.model_copy(update=changes)
        )
        return await self._projects.get(request.project_id)

    async def delete(self, project_id: str) -> None:
        """With its sources, scans, verdicts and datasets. Raises NotFound and Conflict."""
        view = await self._projects.get(project_id)
        await self._check_unused(project_id)
        sources = [source for source, _ in await self._sources.all(project_id)]
        scan_ids = await self._projects.scan_ids(project_id)
        dataset_ids = await self._place.datasets.ids(project_id)
        if view.latest_scan_id:
            await self._scans.cancel_if_open(view.latest_scan_id)
        await self._projects.delete(project_id)
        await asyncio.to_thread(self._delete_files, sources, scan_ids, dataset_ids)
        await asyncio.to_thread(delete_losses, self._place.settings.data_dir, project_id)

    async def update_source(self, request: pb.UpdateSourceRequest) -> SourceRecord:
        """Raises BadRequest, Conflict and NotFound."""
        changes = specs.source_changes(request.spec, request.update_mask)
        return await self._sources.change(
            request.source_id, lambda source: source.model_copy(update=changes)
        )

    async def delete_source(self, source_id: str) -> None:
        """Raises NotFound."""
        source = await self._sources.delete(source_id)
        await asyncio.to_thread(delete_content, self._place.artifacts, source.artifact_id)

    async def _check_unused(self, project_id: str) -> None:
        view = await self._registry.view()
        for adapter in view.adapters.values():
            if adapter.project_id == project_id:
                raise Conflict(
                    f"The adapter {adapter.name} was made of this project; delete it first."
                )
        start = 0
        while jobs := await self._place.jobs.history(JobKind.RUN, start, _JOBS_PAGE):
            for job in jobs:
                if job.project_id == project_id and job.status not in TERMINAL:
                    raise Conflict(f"The run {job.job_id} uses this project; cancel it first.")
            start += _JOBS_PAGE

    def _delete_files(
        self, sources: Sequence[SourceRecord], scan_ids: Sequence[str], dataset_ids: Sequence[str]
    ) -> None:
        for source in sources:
            delete_content(self._place.artifacts, source.artifact_id)
        for scan_id in scan_ids:
            delete_scan(self._place.settings.data_dir, scan_id)
        for dataset_id in dataset_ids:
            try:
                self._place.artifacts.delete(ArtifactKind.DATASET, dataset_id)
            except NotFound:
                continue
