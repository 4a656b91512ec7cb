"""/api/v1/scans/SCAN/verdicts and …/files: what a scan made of each file."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from services.cluster.pb.v1 import datascan_pb2 as pb
from services.gateway.auth import ADMIN, Caller
from services.gateway.paging import LongPageWanted
from services.gateway.proto_values import number_of
from services.gateway.state import state_of
from services.gateway.upstream.calls import answered
from services.gateway.verdict_views import (
    DatasetSplit,
    ScannedFileView,
    VerdictOrder,
    VerdictPage,
    VerdictReason,
)

router = APIRouter(prefix="/api/v1/scans/{scan_id}", tags=["scans"])
Administrator = Annotated[Caller, Depends(ADMIN)]

_FILE_NUMBERS = 2**63
_MAX_CHOICES = 100
_Loss = Annotated[float | None, Query(allow_inf_nan=False)]
_Names = Annotated[list[str], Query(max_length=_MAX_CHOICES)]


def _filters(
    accepted: bool | None = None,
    reason: Annotated[list[VerdictReason], Query(max_length=_MAX_CHOICES)] = [],  # noqa: B006 FastAPI copies it
    language: _Names = [],  # noqa: B006
    source_id: _Names = [],  # noqa: B006
    split: DatasetSplit | None = None,
    path_contains: str = "",
    min_loss: _Loss = None,
    max_loss: _Loss = None,
) -> pb.ListVerdictsRequest:
    """Every filter that is set must hold; of one that is given several times, one value."""
    return pb.ListVerdictsRequest(
        accepted=accepted,
        reasons=[number_of(pb.VerdictReason.DESCRIPTOR, word) for word in reason],
        languages=language,
        source_ids=source_id,
        split=number_of(pb.DatasetSplit.DESCRIPTOR, split) if split else None,
        path_contains=path_contains,
        min_loss=min_loss,
        max_loss=max_loss,
    )


@router.get("/verdicts")
async def list_verdicts(
    request: Request,
    scan_id: str,
    caller: Administrator,
    wanted: Annotated[pb.ListVerdictsRequest, Depends(_filters)],
    page: LongPageWanted,
    order: VerdictOrder = "number",
    descending: bool = False,
) -> VerdictPage:
    """Exactly one for each file that the scan has seen so far."""
    wanted.scan_id = scan_id
    wanted.page_size, wanted.page_token = page.size, page.token
    wanted.descending = descending
    if order != "number":
        wanted.order = number_of(pb.VerdictOrder.DESCRIPTOR, order)
    datascan = await state_of(request).services.datascan()
    return VerdictPage.of(await answered(datascan.ListVerdicts(wanted)))


@router.get("/files/{file_number}")
async def get_file(
    request: Request,
    scan_id: str,
    file_number: Annotated[int, Path(ge=1, lt=_FILE_NUMBERS)],
    caller: Administrator,
) -> ScannedFileView:
    """A file as the scan saw it."""
    datascan = await state_of(request).services.datascan()
    wanted = pb.GetFileRequest(scan_id=scan_id, file_number=file_number)
    return ScannedFileView.of(await answered(datascan.GetFile(wanted)))
