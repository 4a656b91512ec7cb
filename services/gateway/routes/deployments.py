"""/api/v1/deployments: what is wanted of the engines, and which adapters they keep loaded."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from services.cluster.errors import NotFound
from services.cluster.pb.v1 import inference_pb2 as pb
from services.gateway.auth import ADMIN, Caller
from services.gateway.state import GatewayState, state_of
from services.gateway.upstream.calls import ANSWER_SECONDS, answered
from services.gateway.views import DeploymentView, by_age

router = APIRouter(prefix="/api/v1/deployments", tags=["deployments"])
Administrator = Annotated[Caller, Depends(ADMIN)]


@router.get("")
async def list_deployments(request: Request, caller: Administrator) -> list[DeploymentView]:
    """Oldest first: the first is the default."""
    view = state_of(request).view
    return [DeploymentView.of(record, view) for record in by_age(view.deployments.values())]


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
