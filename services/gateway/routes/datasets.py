"""/api/v1/datasets: what scans accepted."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from services.cluster.pb.v1 import datascan_pb2 as pb
from services.gateway.auth import ADMIN, Caller
from services.gateway.dataset_views import DatasetPage, DatasetView
from services.gateway.paging import PageWanted
from services.gateway.state import state_of
from services.gateway.upstream.calls import answered

router = APIRouter(prefix="/api/v1", tags=["datasets"])
Administrator = Annotated[Caller, Depends(ADMIN)]


@router.get("/projects/{project_id}/datasets")
async def list_datasets(
    request: Request, project_id: str, page: PageWanted, caller: Administrator
) -> DatasetPage:
    """Newest first."""
    datascan = await state_of(request).services.datascan()
    wanted = pb.ListDatasetsRequest(
        project_id=project_id, page_size=page.size, page_token=page.token
    )
    return DatasetPage.of(await answered(datascan.ListDatasets(wanted)))


@router.get("/datasets/{dataset_id}")
async def get_dataset(request: Request, dataset_id: str, caller: Administrator) -> DatasetView:
    datascan = await state_of(request).services.datascan()
    wanted = pb.GetDatasetRequest(dataset_id=dataset_id)
    return DatasetView.of(await answered(datascan.GetDataset(wanted)))
