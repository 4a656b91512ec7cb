"""/api/v1/projects: what belongs together, from sources to adapters."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from google.protobuf.field_mask_pb2 import FieldMask
from starlette.requests import Request

from services.cluster.pb.v1 import datascan_pb2 as pb
from services.gateway.auth import ADMIN, Caller
from services.gateway.paging import PageWanted
from services.gateway.project_views import NewProject, ProjectChanges, ProjectPage, ProjectView
from services.gateway.request_body import StrictRoute, changes_in
from services.gateway.state import state_of
from services.gateway.upstream.calls import answered

router = APIRouter(prefix="/api/v1/projects", tags=["projects"], route_class=StrictRoute)
Administrator = Annotated[Caller, Depends(ADMIN)]


@router.get("")
async def list_projects(request: Request, page: PageWanted, caller: Administrator) -> ProjectPage:
    """Of every team, by name."""
    datascan = await state_of(request).services.datascan()
    wanted = pb.ListProjectsRequest(all_teams=True, page_size=page.size, page_token=page.token)
    return ProjectPage.of(await answered(datascan.ListProjects(wanted)))


@router.post("", status_code=201)
async def create_project(request: Request, body: NewProject, caller: Administrator) -> ProjectView:
    """Of the caller's team."""
    datascan = await state_of(request).services.datascan()
    spec = pb.ProjectSpec(**body.model_dump())
    wanted = pb.CreateProjectRequest(team_id=caller.team_id, spec=spec)
    return ProjectView.of(await answered(datascan.CreateProject(wanted)))


@router.get("/{project_id}")
async def get_project(request: Request, project_id: str, caller: Administrator) -> ProjectView:
    datascan = await state_of(request).services.datascan()
    wanted = pb.GetProjectRequest(project_id=project_id)
    return ProjectView.of(await answered(datascan.GetProject(wanted)))


@router.patch("/{project_id}")
async def change_project(
    request: Request, project_id: str, body: ProjectChanges, caller: Administrator
) -> ProjectView:
    changes = changes_in(body)
    datascan = await state_of(request).services.datascan()
    wanted = pb.UpdateProjectRequest(
        project_id=project_id,
        spec=pb.ProjectSpec(**changes),
        update_mask=FieldMask(paths=changes),
    )
    return ProjectView.of(await answered(datascan.UpdateProject(wanted)))


@router.delete("/{project_id}", status_code=204)
async def delete_project(request: Request, project_id: str, caller: Administrator) -> None:
    """With its sources, scans, verdicts and datasets. Refused while a run or adapter uses it."""
    datascan = await state_of(request).services.datascan()
    await answered(datascan.DeleteProject(pb.DeleteProjectRequest(project_id=project_id)))
