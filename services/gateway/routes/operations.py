"""What operators and their tools ask: does it live, does it answer, how is it doing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.gateway.auth import ANYBODY, Caller
from services.gateway.routing import offers
from services.gateway.state import state_of

router = APIRouter()
Anybody = Annotated[Caller, Depends(ANYBODY)]


@router.get("/healthz")
async def healthz(caller: Anybody) -> Response:
    """The process lives."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
async def readyz(request: Request, caller: Anybody) -> Response:
    """A model answers; names the engines. 503 says what it waits for."""
    view = state_of(request).view
    engines = [
        {
            "model": offer.base.model,
            "engine": offer.speaker.engine,
            "version": offer.speaker.engine_version,
            "replicas": len(offer.base.replicas),
        }
        for offer in offers(view)
    ]
    if engines:
        return JSONResponse({"status": "ready", "engines": engines})
    waiting = [
        {"model": d.model, "phase": d.phase, "detail": d.detail} for d in view.deployments.values()
    ]
    answer = {"status": "not ready", "detail": "No model answers yet.", "waiting_for": waiting}
    return JSONResponse(answer, 503, {"Retry-After": "2"})


@router.get("/metrics")
async def metrics(caller: Anybody) -> Response:
    """This process for Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
