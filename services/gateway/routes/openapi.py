"""The OpenAPI documents: of /api/v1, which makes the web interface's client, and of the rest."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.gateway import document
from services.gateway.auth import ANYBODY, Caller

router = APIRouter()
Anybody = Annotated[Caller, Depends(ANYBODY)]


@router.get("/api/v1/openapi.json", include_in_schema=False)
async def administration(request: Request, caller: Anybody) -> Response:
    return JSONResponse(document.administration(request.app.routes))


@router.get("/v1/openapi.json", include_in_schema=False)
async def clients(request: Request, caller: Anybody) -> Response:
    return JSONResponse(document.clients(request.app.routes))
