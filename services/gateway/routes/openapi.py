"""The OpenAPI document of /api/v1, from which the web interface's client is generated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from services.cluster import VERSION
from services.gateway.auth import ANYBODY, Caller
from services.gateway.public_address import path_prefix

router = APIRouter()

_PREFIX = "/api/v1/"


def document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Of those routes that administer the cluster."""
    mine = [
        route
        for route in routes
        if isinstance(route, APIRoute) and f"{route.path}/".startswith(_PREFIX)
    ]
    return get_openapi(title="Hearth administration", version=VERSION, routes=mine)


@router.get(f"{_PREFIX}openapi.json", include_in_schema=False)
async def openapi_json(request: Request, caller: Annotated[Caller, Depends(ANYBODY)]) -> Response:
    described = document(request.app.routes)
    if prefix := path_prefix(request):
        described["servers"] = [{"url": prefix}]
    return JSONResponse(described)
