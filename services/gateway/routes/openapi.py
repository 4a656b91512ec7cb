"""The OpenAPI documents: of /api/v1, which makes the web interface's client, and of the rest."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.gateway import document
from services.gateway.auth import ANYBODY, Caller
from services.gateway.public_address import path_prefix

router = APIRouter()
Anybody = Annotated[Caller, Depends(ANYBODY)]


@router.get("/api/v1/openapi.json", include_in_schema=False)
async def administration(request: Request, caller: Anybody) -> Response:
    return _told(request, document.administration(request.app.routes))


@router.get("/v1/openapi.json", include_in_schema=False)
async def clients(request: Request, caller: Anybody) -> Response:
    return _told(request, document.clients(request.app.routes))


def _told(request: Request, described: dict[str, Any]) -> Response:
    """With the path that Hearth has behind a proxy."""
    if prefix := path_prefix(request):
        described["servers"] = [{"url": prefix}]
    return JSONResponse(described)
