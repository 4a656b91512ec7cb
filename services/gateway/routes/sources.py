"""/api/v1/…/sources: what users give to a project, uploaded or changed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from google.protobuf.field_mask_pb2 import FieldMask
from starlette.requests import Request
from starlette.responses import Response

from services.cluster.pb.v1 import datascan_pb2 as pb
from services.gateway.auth import ADMIN, Caller
from services.gateway.event_stream import EventStream, described, follow
from services.gateway.live_answer import KEEP_ALIVE, event
from services.gateway.paging import PageWanted
from services.gateway.proto_values import number_of, values_of
from services.gateway.request_body import IdempotencyKey, StrictRoute, changes_in
from services.gateway.source_views import (
    SourceChanges,
    SourceEvents,
    SourcePage,
    SourceSplit,
    SourceView,
)
from services.gateway.state import GatewayState, state_of
from services.gateway.upload_body import FILE_BODY, BodySha256, chunks
from services.gateway.upstream.calls import answered, streamed
from services.gateway.upstream.uploads import sent

router = APIRouter(prefix="/api/v1", tags=["sources"], route_class=StrictRoute)
Administrator = Annotated[Caller, Depends(ADMIN)]

UPLOAD_PATH = r"/api/v1/projects/[^/]+/sources/?"


@router.get("/projects/{project_id}/sources")
async def list_sources(
    request: Request, project_id: str, page: PageWanted, caller: Administrator
) -> SourcePage:
    """By name."""
    datascan = await state_of(request).services.datascan()
    wanted = pb.ListSourcesRequest(
        project_id=project_id, page_size=page.size, page_token=page.token
    )
    return SourcePage.of(await answered(datascan.ListSources(wanted)))


@router.post("/projects/{project_id}/sources", status_code=201, openapi_extra=FILE_BODY)
async def upload_source(
    request: Request,
    project_id: str,
    caller: Administrator,
    file_name: Annotated[str, Query(min_length=1, description="Tells an archive by its ending.")],
    name: Annotated[str, Query(description="Empty: made from the file's.")] = "",
    split: SourceSplit = "auto",
    replaced_source_id: Annotated[str, Query(description="Gets these bytes instead.")] = "",
    x_content_sha256: BodySha256 = "",
    idempotency_key: IdempotencyKey = "",
) -> SourceView:
    """The body, whatever its content type, is an archive or a single file."""
    declared = request.headers.get("content-length", "")
    header = pb.UploadSourceHeader(
        project_id=project_id,
        spec=pb.SourceSpec(name=name, split=number_of(pb.SourceSplit.DESCRIPTOR, split)),
        file_name=file_name,
        total_bytes=int(declared[:18]) if declared.isdecimal() else 0,
        sha256=x_content_sha256.lower(),
        idempotency_key=idempotency_key,
        replaced_source_id=replaced_source_id,
    )
    datascan = await state_of(request).services.datascan()
    source = await sent(datascan.UploadSource, _parts(header, request))
    return SourceView.of(source)


async def _parts(
    header: pb.UploadSourceHeader, request: Request
) -> AsyncGenerator[pb.UploadSourceRequest]:
    yield pb.UploadSourceRequest(header=header)
    async for chunk in chunks(request):
        yield pb.UploadSourceRequest(chunk=chunk)


@router.get(
    "/projects/{project_id}/sources/events",
    response_class=EventStream,
    responses=described(SourceEvents),
)
async def follow_sources(request: Request, project_id: str, caller: Administrator) -> Response:
    """Every source as it is now, then each that is new, changes or is deleted."""
    return follow(request, lambda: _events(state_of(request), project_id))


async def _events(state: GatewayState, project_id: str) -> AsyncGenerator[bytes]:
    datascan = await state.services.datascan()
    call = datascan.WatchSources(pb.WatchSourcesRequest(project_id=project_id))
    async with aclosing(streamed(call)) as messages:
        async for message in messages:
            values = values_of(message)
            if message.HasField("source"):
                yield event(SourceEvents.data_of("source", values["source"]), "source")
            elif message.HasField("deleted_source_id"):
                deleted = {"source_id": message.deleted_source_id}
                yield event(SourceEvents.data_of("deleted", deleted), "deleted")
            else:
                yield KEEP_ALIVE


@router.get("/sources/{source_id}")
async def get_source(request: Request, source_id: str, caller: Administrator) -> SourceView:
    datascan = await state_of(request).services.datascan()
    wanted = pb.GetSourceRequest(source_id=source_id)
    return SourceView.of(await answered(datascan.GetSource(wanted)))


@router.patch("/sources/{source_id}")
async def change_source(
    request: Request, source_id: str, body: SourceChanges, caller: Administrator
) -> SourceView:
    """A scan follows by itself, unless the project's scans are manual."""
    changes = changes_in(body)
    spec = pb.SourceSpec(name=body.name or "")
    if body.split is not None:
        spec.split = number_of(pb.SourceSplit.DESCRIPTOR, body.split)
    datascan = await state_of(request).services.datascan()
    wanted = pb.UpdateSourceRequest(
        source_id=source_id, spec=spec, update_mask=FieldMask(paths=changes)
    )
    return SourceView.of(await answered(datascan.UpdateSource(wanted)))


@router.delete("/sources/{source_id}", status_code=204)
async def delete_source(request: Request, source_id: str, caller: Administrator) -> None:
    """Datasets that were made of it stay whole."""
    datascan = await state_of(request).services.datascan()
    await answered(datascan.DeleteSource(pb.DeleteSourceRequest(source_id=source_id)))
