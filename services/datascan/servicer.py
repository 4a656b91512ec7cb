"""The Datascan service: translate, call, translate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from services.cluster.errors import NotFound, Unimplemented
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.cluster.pb.v1 import datascan_pb2_grpc as rpc
from services.cluster.project_records import SourceRecord
from services.datascan import verdict_pages
from services.datascan.messages import (
    dataset_message,
    project_message,
    source_message,
    verdict_message,
)
from services.datascan.pages import next_token, page_size, page_start
from services.datascan.project_changes import ProjectChanges
from services.datascan.readers import ReadLimits
from services.datascan.scan_attempt import Workplace
from services.datascan.scan_payload import filters_of, scan_job
from services.datascan.scan_views import ScanViews
from services.datascan.scanned_file import cut, text_of
from services.datascan.scans import Scans, filters_in_force
from services.datascan.uploads import Uploads
from services.datascan.verdict_store import scan_place

_UPLOADS_ONLY = "This version takes uploads only: send an archive or a file by UploadSource."
_FIXED_FILTERS = "This version judges by the default filters; GetFilters tells them."


class DatascanServicer(rpc.DatascanServicer):
    def __init__(
        self, place: Workplace, changes: ProjectChanges, uploads: Uploads, scans: Scans
    ) -> None:
        self._place = place
        self._projects = place.projects
        self._sources = place.sources
        self._datasets = place.datasets
        self._changes = changes
        self._uploads = uploads
        self._scans = scans
        self._views = ScanViews(place.jobs, scans, place.settings.data_dir)

    # ---- Projects

    async def CreateProject(self, request: pb.CreateProjectRequest, context: object) -> pb.Project:
        return project_message(await self._changes.create(request))

    async def GetProject(self, request: pb.GetProjectRequest, context: object) -> pb.Project:
        return project_message(await self._projects.get(request.project_id))

    async def ListProjects(
        self, request: pb.ListProjectsRequest, context: object
    ) -> pb.ListProjectsResponse:
        start, size = page_start(request.page_token), page_size(request.page_size)
        teams = set(request.team_ids)
        found = [
            view
            for view in await self._projects.all()
            if request.all_teams or teams & {view.project.team_id, *view.project.reader_team_ids}
        ][start:]
        return pb.ListProjectsResponse(
            projects=[project_message(view) for view in found[:size]],
            next_page_token=next_token(start, size, len(found)),
        )

    async def UpdateProject(self, request: pb.UpdateProjectRequest, context: object) -> pb.Project:
        return project_message(await self._changes.update(request))

    async def DeleteProject(
        self, request: pb.DeleteProjectRequest, context: object
    ) -> pb.DeleteProjectResponse:
        await self._changes.delete(request.project_id)
        return pb.DeleteProjectResponse()

    # ---- Sources

    async def CreateSource(self, request: pb.CreateSourceRequest, context: object) -> pb.Source:
        raise Unimplemented(_UPLOADS_ONLY)

    async def UploadSource(
        self, requests: AsyncIterator[pb.UploadSourceRequest], context: object
    ) -> pb.Source:
        return await self._shown(await self._uploads.take(requests))

    async def GetSource(self, request: pb.GetSourceRequest, context: object) -> pb.Source:
        return await self._shown(await self._sources.get(request.source_id))

    async def ListSources(
        self, request: pb.ListSourcesRequest, context: object
    ) -> pb.ListSourcesResponse:
        start, size = page_start(request.page_token), page_size(request.page_size)
        found = (await self._sources.all(request.project_id))[start:]
        return pb.ListSourcesResponse(
            sources=[source_message(source, counts) for source, counts in found[:size]],
            next_page_token=next_token(start, size, len(found)),
        )

    async def WatchSources(
        self, request: pb.WatchSourcesRequest, context: object
    ) -> AsyncIterator[pb.SourceEvent]:
        mark = await self._sources.mark(request.project_id)
        known = await self._sources.all(request.project_id)
        yield pb.SourceEvent()
        for source, counts in known:
            yield pb.SourceEvent(source=source_message(source, counts))
        async for source_id in self._sources.changes(request.project_id, mark):
            try:
                source = await self._sources.get(source_id)
            except NotFound:
                yield pb.SourceEvent(deleted_source_id=source_id)
            else:
                yield pb.SourceEvent(source=await self._shown(source))

    async def UpdateSource(self, request: pb.UpdateSourceRequest, context: object) -> pb.Source:
        return await self._shown(await self._changes.update_source(request))

    async def RefreshSource(self, request: pb.RefreshSourceRequest, context: object) -> pb.Source:
        raise Unimplemented(_UPLOADS_ONLY)

    async def DeleteSource(
        self, request: pb.DeleteSourceRequest, context: object
    ) -> pb.DeleteSourceResponse:
        await self._changes.delete_source(request.source_id)
        return pb.DeleteSourceResponse()

    async def _shown(self, source: SourceRecord) -> pb.Source:
        return source_message(source, await self._sources.counts(source.source_id))

    # ---- Scans

    async def StartScan(self, request: pb.StartScanRequest, context: object) -> pb.Scan:
        job = await self._scans.start(
            request.project_id,
            pb.SCAN_TRIGGER_USER,
            refresh=request.refresh,
            from_scratch=request.from_scratch,
        )
        return await self._views.message(job)

    async def GetScan(self, request: pb.GetScanRequest, context: object) -> pb.Scan:
        return await self._views.message(await self._scans.get(request.scan_id))

    async def ListScans(
        self, request: pb.ListScansRequest, context: object
    ) -> pb.ListScansResponse:
        start, size = page_start(request.page_token), page_size(request.page_size)
        await self._projects.get(request.project_id)
        found = await self._projects.scan_ids(request.project_id, start, size + 1)
        jobs = await self._scans.known(found[:size])
        return pb.ListScansResponse(
            scans=[await self._views.message(job) for job in jobs],
            next_page_token=next_token(start, size, len(found)),
        )

    async def WatchScan(
        self, request: pb.WatchScanRequest, context: object
    ) -> AsyncIterator[pb.ScanEvent]:
        async for event in self._views.events(request.scan_id, request.after_event_id):
            yield event

    async def CancelScan(self, request: pb.CancelScanRequest, context: object) -> pb.Scan:
        return await self._views.message(await self._scans.cancel(request.scan_id))

    # ---- Verdicts

    async def ListVerdicts(
        self, request: pb.ListVerdictsRequest, context: object
    ) -> pb.ListVerdictsResponse:
        scan = scan_job((await self._scans.get(request.scan_id)).payload)
        place = scan_place(self._place.settings.data_dir, request.scan_id)
        rows, token = await asyncio.to_thread(verdict_pages.page_of, place, request)
        return pb.ListVerdictsResponse(
            verdicts=[verdict_message(row, scan, request.scan_id) for row in rows],
            next_page_token=token,
        )

    async def GetFile(self, request: pb.GetFileRequest, context: object) -> pb.ScannedFile:
        scan = scan_job((await self._scans.get(request.scan_id)).payload)
        settings = self._place.settings
        place = scan_place(settings.data_dir, request.scan_id)
        row, stored = await asyncio.to_thread(verdict_pages.row_of, place, request.file_number)
        limits = ReadLimits(
            max_file_bytes=filters_of(scan.filters).max_file_bytes,
            max_files=settings.max_source_files,
            max_unpacked_bytes=settings.max_unpacked_bytes,
        )
        try:
            source = await self._sources.get(row.source_id)
        except NotFound:
            source = None
        text, reason = await asyncio.to_thread(
            text_of, row, stored, place, source, self._place.artifacts, limits
        )
        text, truncated = cut(text)
        return pb.ScannedFile(
            verdict=verdict_message(row, scan, request.scan_id),
            text=text,
            truncated=truncated,
            unavailable_reason=reason,
        )

    # ---- Filters and datasets

    async def GetFilters(self, request: pb.GetFiltersRequest, context: object) -> pb.ScanFilters:
        return filters_in_force((await self._projects.get(request.project_id)).project)

    async def PreviewFilters(
        self, request: pb.PreviewFiltersRequest, context: object
    ) -> pb.FiltersPreview:
        raise Unimplemented(_FIXED_FILTERS)

    async def SetFilters(
        self, request: pb.SetFiltersRequest, context: object
    ) -> pb.SetFiltersResponse:
        raise Unimplemented(_FIXED_FILTERS)

    async def GetDataset(self, request: pb.GetDatasetRequest, context: object) -> pb.Dataset:
        return dataset_message(await self._datasets.get(request.dataset_id))

    async def ListDatasets(
        self, request: pb.ListDatasetsRequest, context: object
    ) -> pb.ListDatasetsResponse:
        start, size = page_start(request.page_token), page_size(request.page_size)
        await self._projects.get(request.project_id)
        found = await self._datasets.ids(request.project_id, start, size + 1)
        return pb.ListDatasetsResponse(
            datasets=[dataset_message(await self._datasets.get(each)) for each in found[:size]],
            next_page_token=next_token(start, size, len(found)),
        )
