"""What operators and their tools ask: does it live, does it answer, how is it doing."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from services.gateway.auth import ANYBODY, Caller
from services.gateway.routing import offers
from services.gateway.state import state_of


class Health(BaseModel):
    status: Literal["ok"]


class ReadyEngine(BaseModel):
    model: str
    engine: str
    version: str
    replicas: int


class Ready(BaseModel):
    status: Literal["ready"]
    engines: list[ReadyEngine]


class AwaitedModel(BaseModel):
    """`detail` is a sentence: how far it is, or why it failed."""

    model: str
    phase: str
    detail: str


class NotReady(BaseModel):
    status: Literal["not ready"]
    detail: str
    waiting_for: list[AwaitedModel]


router = APIRouter()
Anybody = Annotated[Caller, Depends(ANYBODY)]


@router.get("/healthz", response_model=Health)
async def healthz(caller: Anybody) -> Response:
    """The process lives."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", response_model=Ready, responses={503: {"model": NotReady}})
async def readyz(request: Request, caller: Anybody) -> Response:
    """A model answers; names the engines. 503 says what it waits for.

    Servers elsewhere are not named here, and count only where nothing is deployed.
    """
    view = state_of(request).view
    offered = offers(view)
    engines = [
        {
            "model": offer.base.model,
            "engine": offer.speaker.engine,
            "version": offer.speaker.engine_version,
            "replicas": len(offer.base.replicas),
        }
        for offer in offered
        if not offer.base.remote
    ]
    if engines or (offered and not view.deployments):
        return JSONResponse({"status": "ready", "engines": engines})
    waiting = [
        {"model": d.model, "phase": d.phase, "detail": d.detail} for d in view.deployments.values()
    ]
    answer = {"status": "not ready", "detail": "No model answers yet.", "waiting_for": waiting}
    return JSONResponse(answer, 503, {"Retry-After": "2"})


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(caller: Anybody) -> Response:
    """This process for Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
