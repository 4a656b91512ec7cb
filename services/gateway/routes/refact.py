"""What the Refact plugin's agent asks before it completes: caps and tokenizers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.cluster.errors import NotFound
from services.cluster.records import ReplicaPhase
from services.cluster.registry import ClusterView
from services.gateway.auth import ANYBODY, MODELS_READ, Caller
from services.gateway.refact_caps import caps_for, old_caps, tokenizer_name
from services.gateway.routing import Offer, offers, resolve
from services.gateway.state import GatewayState, state_of
from services.gateway.toolbox.commands import listed
from services.gateway.toolbox.customization import customization


class Caps(BaseModel):
    """What is offered, in the form of the agent's version; a new caps_version makes it ask anew."""

    model_config = ConfigDict(extra="allow")

    cloud_name: str
    support_metadata: bool
    caps_version: int


router = APIRouter()
Reader = Annotated[Caller, Depends(MODELS_READ)]


@router.get("/refact-caps", response_model=Caps)
async def caps(request: Request, caller: Reader) -> Response:
    """The form that the agent's version reads."""
    state = state_of(request)
    view, user_agent = state.view, request.headers.get("user-agent", "")
    offered = _offers(view, caller)
    return JSONResponse(caps_for(user_agent, offered, view.caps_version, _toolbox(state)))


@router.get("/coding_assistant_caps.json", response_model=Caps)
async def caps_of_old_agents(request: Request, caller: Reader) -> Response:
    state = state_of(request)
    view = state.view
    return JSONResponse(old_caps(_offers(view, caller), view.caps_version, _toolbox(state)))


@router.get("/tokenizer/{name:path}", response_model=dict[str, Any])
async def tokenizer(
    request: Request, name: str, caller: Annotated[Caller, Depends(ANYBODY)]
) -> Response:
    """tokenizer.json of a model, whose name is written with "--" or "/" and without an adapter.

    The agent does nothing without one. Providers give none: it counts by another's then.
    """
    state = state_of(request)
    wanted = tokenizer_name(name.partition(":")[0])
    ready = [r for r in state.view.replicas.values() if r.phase is ReplicaPhase.READY]
    found = [replica for replica in ready if tokenizer_name(replica.model) == wanted]
    if not found and any(
        tokenizer_name(provider.model_name(model)).partition(":")[0] == wanted
        for provider in state.view.providers.values()
        if provider.is_enabled
        for model in provider.models
    ):
        found = ready
    for replica in found[:1]:
        if replica.model not in state.tokenizers:
            state.tokenizers[replica.model] = await state.replicas.tokenizer(replica)
        return Response(state.tokenizers[replica.model], media_type="application/json")
    raise NotFound(f"No model {name[:200]!r} is being served, so there is no tokenizer for it.")


def _toolbox(state: GatewayState) -> str:
    return customization(listed(state.toolbox_defaults, state.view.toolbox).values())


def _offers(view: ClusterView, caller: Caller) -> list[Offer]:
    """Raises EngineUnavailable, with the reason, while there are none: after a refusal the agent
    asks again in a minute, after caps without a model in an hour.
    """
    found = offers(view, caller.team_id)
    if not found:
        resolve(view, "", caller.team_id)
    return found
