"""The OpenAPI documents: of /api/v1, which makes the web interface's client, and of the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from services.gateway import document
from services.gateway.auth import ANYBODY, Caller
from services.gateway.public_address import path_prefix
from services.gateway.state import state_of

router = APIRouter()
Anybody = Annotated[Caller, Depends(ANYBODY)]


@router.get("/api/v1/openapi.json", include_in_schema=False)
async def administration(request: Request, caller: Anybody) -> Response:
    return await _told(request, document.administration)


@router.get("/v1/openapi.json", include_in_schema=False)
async def clients(request: Request, caller: Anybody) -> Response:
    return await _told(request, document.clients)


async def _told(
    request: Request, describe: Callable[[Sequence[BaseRoute]], dict[str, Any]]
) -> Response:
    """With the path that Hearth has behind a proxy.

    Anybody may ask, and it takes a second to write: once, and beside the answers to others.
    """
    state = state_of(request)
    async with state.describing:
        described = state.documents.get(describe.__name__)
        if described is None:
            described = await asyncio.to_thread(describe, request.app.routes)
            state.documents[describe.__name__] = described
    prefix = path_prefix(request)
    return JSONResponse({**described, "servers": [{"url": prefix}]} if prefix else described)
