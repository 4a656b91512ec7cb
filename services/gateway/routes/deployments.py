"""/api/v1/deployments: what is wanted of the engines, planned, changed and watched over."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from google.protobuf.field_mask_pb2 import FieldMask
from starlette.requests import Request

from services.cluster.errors import Conflict, NotFound
from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.records import DeploymentRecord
from services.cluster.registry import ClusterView
from services.gateway.auth import ADMIN, Caller
from services.gateway.deployment_views import (
    DeploymentChanges,
    DeploymentPlanView,
    NewDeployment,
)
from services.gateway.proto_values import number_of
from services.gateway.request_body import StrictRoute, changes_in
from services.gateway.state import GatewayState, state_of
from services.gateway.upstream.calls import ANSWER_SECONDS, answered
from services.gateway.views import DeploymentView, by_age

router = APIRouter(prefix="/api/v1/deployments", tags=["deployments"], route_class=StrictRoute)
Administrator = Annotated[Caller, Depends(ADMIN)]


@router.get("")
async def list_deployments(request: Request, caller: Administrator) -> list[DeploymentView]:
    """Oldest first: the first is the default."""
    view = state_of(request).view
    return [DeploymentView.of(record, view) for record in by_age(view.deployments.values())]


@router.post("", status_code=201)
async def create_deployment(
    request: Request, body: NewDeployment, caller: Administrator
) -> DeploymentView:
    """It is recorded; GET /api/v1/events tells what becomes of it."""
    state = state_of(request)
    if body.deployment_id in (await state.cache.refresh()).deployments:
        raise Conflict(f"There is a deployment {body.deployment_id} already; change it instead.")
    return await _put(state, _message(body.model_dump()))


@router.post("/plan")
async def plan_deployment(
    request: Request, body: NewDeployment, caller: Administrator
) -> DeploymentPlanView:
    """Whether it fits and where, its parts, and what to change when it does not.

    With the `deployment_id` of one that there is, what that holds counts as free.
    """
    agent = await state_of(request).services.agent()
    wanted = pb.PlanDeploymentRequest(deployment=_message(body.model_dump()))
    return DeploymentPlanView.of(await answered(agent.PlanDeployment(wanted)))


@router.get("/{deployment_id}")
async def get_deployment(
    request: Request, deployment_id: str, caller: Administrator
) -> DeploymentView:
    view = state_of(request).view
    return DeploymentView.of(_known(view, deployment_id), view)


@router.patch("/{deployment_id}")
async def change_deployment(
    request: Request, deployment_id: str, body: DeploymentChanges, caller: Administrator
) -> DeploymentView:
    state, changes = state_of(request), changes_in(body)
    wanted = _message({**changes, "deployment_id": deployment_id})
    return await _put(state, wanted, FieldMask(paths=changes))


@router.delete("/{deployment_id}", status_code=204)
async def delete_deployment(request: Request, deployment_id: str, caller: Administrator) -> None:
    """Its replicas finish what they have begun."""
    state = state_of(request)
    agent = await state.services.agent()
    wanted = pb.DeleteDeploymentRequest(deployment_id=deployment_id)
    await answered(agent.DeleteDeployment(wanted))
    await state.cache.refresh()


@router.post("/{deployment_id}/restart")
async def restart_deployment(
    request: Request, deployment_id: str, caller: Administrator
) -> DeploymentView:
    """New replicas, beside the old ones if memory allows; one that has failed is tried at once."""
    state = state_of(request)
    agent = await state.services.agent()
    wanted = pb.RestartDeploymentRequest(deployment_id=deployment_id)
    await answered(agent.RestartDeployment(wanted))
    return await _shown(state, deployment_id)


@router.put("/{deployment_id}/adapters/{adapter_id}")
async def load_adapter(
    request: Request, deployment_id: str, adapter_id: str, caller: Administrator
) -> DeploymentView:
    """Answers when every ready replica has it loaded, while they go on serving."""
    state = state_of(request)
    agent = await state.services.agent()
    change = _change(state, deployment_id, adapter_id)
    await answered(agent.AddDeploymentAdapter(change), change.wait_seconds + ANSWER_SECONDS)
    return await _shown(state, deployment_id)


@router.delete("/{deployment_id}/adapters/{adapter_id}")
async def unload_adapter(
    request: Request, deployment_id: str, adapter_id: str, caller: Administrator
) -> DeploymentView:
    """Answers when no ready replica has it any more; what uses it is finished first."""
    state = state_of(request)
    agent = await state.services.agent()
    change = _change(state, deployment_id, adapter_id)
    await answered(agent.RemoveDeploymentAdapter(change), change.wait_seconds + ANSWER_SECONDS)
    return await _shown(state, deployment_id)


def _message(fields: dict[str, Any]) -> pb.Deployment:
    named = {name: value for name, value in fields.items() if name != "adapter_policy"}
    wanted = pb.Deployment(**named)
    if policy := fields.get("adapter_policy"):
        wanted.adapter_policy = number_of(pb.AdapterPolicy.DESCRIPTOR, policy)
    return wanted


async def _put(
    state: GatewayState, wanted: pb.Deployment, changes: FieldMask | None = None
) -> DeploymentView:
    agent = await state.services.agent()
    request = pb.PutDeploymentRequest(deployment=wanted, changes=changes)
    put = await answered(agent.PutDeployment(request))
    return await _shown(state, put.deployment_id)


def _known(view: ClusterView, deployment_id: str) -> DeploymentRecord:
    if deployment_id not in view.deployments:
        raise NotFound(f"There is no deployment {deployment_id}.")
    return view.deployments[deployment_id]


def _change(
    state: GatewayState, deployment_id: str, adapter_id: str
) -> pb.DeploymentAdapterRequest:
    return pb.DeploymentAdapterRequest(
        deployment_id=deployment_id,
        adapter_id=adapter_id,
        wait_seconds=state.settings.adapter_wait_seconds,
    )


async def _shown(state: GatewayState, deployment_id: str) -> DeploymentView:
    """The state after the change, also here: the next request must find it so."""
    view = await state.cache.refresh()
    if deployment_id not in view.deployments:
        raise NotFound(f"The deployment {deployment_id} was deleted meanwhile.")
    return DeploymentView.of(view.deployments[deployment_id], view)
