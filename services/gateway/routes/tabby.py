"""What the Tabby plugin asks beside completions. Its address is this server's, or /tabby there."""

from __future__ import annotations

import os
import platform
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.cluster import VERSION
from services.cluster.registry import ClusterView
from services.gateway.auth import COMPLETIONS, Caller
from services.gateway.completion_ids import speaker
from services.gateway.dialects.tabby_shapes import TabbyHealth, TabbySettings
from services.gateway.metrics import COMPLETION_EVENTS
from services.gateway.request_body import read_json, takes
from services.gateway.routing import Use, resolve
from services.gateway.state import state_of

router = APIRouter()
Completer = Annotated[Caller, Depends(COMPLETIONS)]

# Plugins compare it with Tabby's versions; below 0.9 they do not ask for the settings.
_SPOKEN = "v0.30.0"
_EVENTS = {"view": "shown", "select": "accepted", "dismiss": "dismissed"}


class CompletionEvent(BaseModel):
    """`select_kind` may stand in the query instead."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["view", "select", "dismiss"]
    completion_id: str
    select_kind: str = ""


@router.get("/v1/health", response_model=TabbyHealth)
@router.post("/v1/health", response_model=TabbyHealth)
@router.get("/tabby/v1/health", response_model=TabbyHealth)
@router.post("/tabby/v1/health", response_model=TabbyHealth)
async def health(request: Request, caller: Completer) -> Response:
    """What completes and what chats; 503 while nothing does. Processors are the gateway's."""
    view = state_of(request).view
    target = resolve(view, "", caller.team_id)
    devices = target.replicas[0].device_ids if target.replicas else ()
    gpus = [device for device in devices if not device.startswith("cpu-")]
    found: dict[str, Any] = {
        "model": target.name,
        "device": "cuda" if gpus else "cpu",
        "arch": platform.machine(),
        "cpu_info": platform.processor(),
        "cpu_count": os.cpu_count() or 1,
        "cuda_devices": gpus,
        "version": {
            "build_date": "",
            "build_timestamp": "",
            "git_sha": "",
            "git_describe": f"{_SPOKEN}-hearth-{VERSION}",
        },
    }
    if chat_model := _chat_model(view, caller):
        found["chat_model"] = chat_model
    return JSONResponse(found)


@router.get("/v1beta/server_setting", response_model=TabbySettings)
@router.get("/tabby/v1beta/server_setting", response_model=TabbySettings)
async def server_setting(caller: Completer) -> Response:
    """Tells plugins to send nothing to Tabby's makers."""
    return JSONResponse({"disable_client_side_telemetry": True})


@router.post("/v1/events", response_class=Response, openapi_extra=takes(CompletionEvent))
@router.post("/tabby/v1/events", response_class=Response, openapi_extra=takes(CompletionEvent))
async def count_event(
    request: Request, caller: Completer, select_kind: Annotated[str, Query()] = ""
) -> Response:
    """Counts what became of a completion."""
    body = await read_json(request, CompletionEvent)
    event = _EVENTS[body.type]
    if body.type == "select" and "line" in (select_kind, body.select_kind):
        event = "accepted_line"
    model, adapter_id = speaker(state_of(request).view, body.completion_id)
    COMPLETION_EVENTS.labels(model, adapter_id, event).inc()
    return Response()


def _chat_model(view: ClusterView, caller: Caller) -> str:
    """Empty for none."""
    target = resolve(view, "", caller.team_id, Use.CHAT)
    return target.name if target.speaker.supports_chat else ""
