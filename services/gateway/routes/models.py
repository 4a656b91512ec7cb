"""/v1/models: what a request may name as its model; /api/v1/models: what may be deployed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.cluster.errors import ModelNotFound
from services.cluster.pb.v1 import inference_pb2 as pb
from services.gateway.auth import ADMIN, MODELS_READ, Caller
from services.gateway.dialects.openai_shapes import NamedModel, ServedModels
from services.gateway.model_views import ListedModelView
from services.gateway.routing import AUTO, Offer, offers
from services.gateway.state import state_of
from services.gateway.upstream.calls import answered

_PAGE_SIZE = 1000
router = APIRouter()
Reader = Annotated[Caller, Depends(MODELS_READ)]
Administrator = Annotated[Caller, Depends(ADMIN)]


@router.get("/api/v1/models", tags=["models"])
async def list_catalogue(request: Request, caller: Administrator) -> list[ListedModelView]:
    """Models that were added, then those that Hearth knows and anybody may deploy."""
    agent = await state_of(request).services.agent()
    found: list[ListedModelView] = []
    page = pb.ListModelsRequest(page_size=_PAGE_SIZE)
    while True:
        answer = await answered(agent.ListModels(page))
        found += map(ListedModelView.of_message, answer.models)
        if not answer.next_page_token:
            return found
        page.page_token = answer.next_page_token


@router.get("/v1/models", response_model=ServedModels)
async def list_models(request: Request, caller: Reader) -> Response:
    """Bases, `MODEL:auto`, and adapters that are loaded. The default comes first."""
    state = state_of(request)
    return JSONResponse(
        {
            "object": "list",
            "data": _models(offers(state.view, caller.team_id)),
            "caps_version": state.view.caps_version,
        }
    )


@router.get("/v1/models/{name:path}", response_model=NamedModel)
async def get_model(request: Request, name: str, caller: Reader) -> Response:
    state = state_of(request)
    for model in _models(offers(state.view, caller.team_id)):
        if model["id"] == name:
            return JSONResponse({**model, "caps_version": state.view.caps_version})
    raise ModelNotFound(f"There is no model {name[:200]!r}; GET /v1/models lists them.")


def _models(found: list[Offer]) -> list[dict[str, Any]]:
    models = []
    for offer in found:
        models.append(_model(offer, offer.base.name, ""))
        if offer.base.remote:
            continue
        models.append(_model(offer, f"{offer.base.model}:{AUTO}", offer.auto.name))
        models += [_model(offer, target.name, offer.base.name) for _, target in offer.adapters]
    return models


def _model(offer: Offer, name: str, parent: str) -> dict[str, Any]:
    """`parent`: the base of an adapter, what `auto` means now, "" for a base.

    `leaves_site`: what is asked of it goes to an outside provider.
    """
    speaker, remote = offer.speaker, offer.base.remote
    return {
        "id": name,
        "object": "model",
        "created": int(speaker.started_at),
        "owned_by": remote.provider.provider_id if remote else "hearth",
        "root": offer.base.model,
        "parent": parent or None,
        "max_model_len": speaker.context_tokens,
        "completion": speaker.embedding_size == 0,
        "chat": speaker.supports_chat,
        "leaves_site": offer.leaves_site,
    }
