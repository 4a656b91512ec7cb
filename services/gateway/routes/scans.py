"""/api/v1/scans: the jobs that turn a project's sources into a dataset."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.cluster.pb.v1 import datascan_pb2 as pb
from services.gateway.auth import ADMIN, Caller
from services.gateway.event_stream import EventStream, LastSeen, described, follow
from services.gateway.live_answer import KEEP_ALIVE, event
from services.gateway.paging import PageWanted
from services.gateway.proto_values import values_of
from services.gateway.request_body import StrictRoute
from services.gateway.scan_views import NewScan, ScanEvents, ScanPage, ScanView
from services.gateway.state import GatewayState, state_of
from services.gateway.upstream.calls import answered, streamed

router = APIRouter(prefix="/api/v1", tags=["scans"], route_class=StrictRoute)
Administrator = Annotated[Caller, Depends(ADMIN)]


@router.post("/projects/{project_id}/scans", status_code=201)
async def start_scan(
    request: Request, project_id: str, caller: Administrator, body: NewScan | None = None
) -> ScanView:
    """A queued scan is answered as it is; a running one makes way."""
    datascan = await state_of(request).services.datascan()
    wanted = pb.StartScanRequest(
        project_id=project_id, from_scratch=body.from_scratch if body else False
    )
    return ScanView.of(await answered(datascan.StartScan(wanted)))


@router.get("/projects/{project_id}/scans")
async def list_scans(
    request: Request, project_id: str, page: PageWanted, caller: Administrator
) -> ScanPage:
    """Newest first."""
    datascan = await state_of(request).services.datascan()
    wanted = pb.ListScansRequest(project_id=project_id, page_size=page.size, page_token=page.token)
    return ScanPage.of(await answered(datascan.ListScans(wanted)))


@router.get("/scans/{scan_id}")
async def get_scan(request: Request, scan_id: str, caller: Administrator) -> ScanView:
    datascan = await state_of(request).services.datascan()
    return ScanView.of(await answered(datascan.GetScan(pb.GetScanRequest(scan_id=scan_id))))


@router.get("/scans/{scan_id}/events", response_class=EventStream, responses=described(ScanEvents))
async def follow_scan(
    request: Request, scan_id: str, after: LastSeen, caller: Administrator
) -> Response:
    """The events after one that was seen, then new ones, until the scan has ended."""
    return follow(request, lambda: _events(state_of(request), scan_id, after))


async def _events(state: GatewayState, scan_id: str, after: str) -> AsyncGenerator[bytes]:
    datascan = await state.services.datascan()
    call = datascan.WatchScan(pb.WatchScanRequest(scan_id=scan_id, after_event_id=after))
    async with aclosing(streamed(call)) as messages:
        async for message in messages:
            values = values_of(message)
            if message.HasField("scan"):
                data = ScanEvents.data_of("scan", values["scan"])
                yield event(data, "scan", message.event_id)
            elif message.HasField("log_line"):
                yield event(ScanEvents.data_of("log", values), "log", message.event_id)
            else:  # of a kind that this version does not know
                yield KEEP_ALIVE


@router.post("/scans/{scan_id}/cancel")
async def cancel_scan(request: Request, scan_id: str, caller: Administrator) -> ScanView:
    """The dataset before it stays in force."""
    datascan = await state_of(request).services.datascan()
    return ScanView.of(await answered(datascan.CancelScan(pb.CancelScanRequest(scan_id=scan_id))))
