"""Every GET that nothing else claims: the web interface, fetched from its own process."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import Annotated

import httpx
from fastapi import APIRouter, Depends
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from services.cluster.errors import NotFound
from services.gateway.auth import ANYBODY, Caller
from services.gateway.public_address import path_prefix
from services.gateway.state import GatewayState, state_of
from services.gateway.upstream.services import ready_processes

log = logging.getLogger(__name__)
router = APIRouter()

EVERY_PATH = "/{path:path}"
_API_PREFIXES = ("api/", "v1/", "tabby/", "stats/")
_SENT_ON = (b"accept", b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
_NOT_SENT_BACK = {"connection", "keep-alive", "transfer-encoding", "date", "server"}
_DOWN = (
    "Hearth's web interface is not up.\n\n"
    "It may still be starting: this page loads again by itself every few seconds.\n"
    "The API works without it; GET /readyz says what does.\n"
)


@router.get(EVERY_PATH, include_in_schema=False)
async def page(
    request: Request, path: str, caller: Annotated[Caller, Depends(ANYBODY)]
) -> Response:
    """Streams what the web interface's server answers. No cookie and no token goes there."""
    if path.startswith(_API_PREFIXES):
        raise HTTPException(404)
    state = state_of(request)
    for address in webui_addresses(state):
        try:
            answer = await state.pages.send(_forwarded(state, request, address), stream=True)
        except httpx.TransportError as error:
            log.warning("web interface does not answer", extra={"reason": str(error)})
            continue
        return StreamingResponse(
            _body(answer),
            answer.status_code,
            {name: value for name, value in answer.headers.items() if name not in _NOT_SENT_BACK},
            background=BackgroundTask(answer.aclose),
        )
    return _down()


def _forwarded(state: GatewayState, request: Request, address: str) -> httpx.Request:
    """Raises NotFound for a path that is none."""
    prefix = path_prefix(request).encode()
    headers = [(name, value) for name, value in request.headers.raw if name in _SENT_ON]
    headers.append((b"x-forwarded-prefix", prefix))
    path = request.scope["raw_path"].removeprefix(prefix) or b"/"
    try:
        url = httpx.URL(f"http://{address}").copy_with(raw_path=path)
    except httpx.InvalidURL:
        raise NotFound("There is no page of that name here.") from None
    return state.pages.build_request("GET", url, headers=headers)


def webui_addresses(state: GatewayState) -> list[str]:
    """HOST:PORT, the newest first."""
    return [process.http_address for process in ready_processes(state.view, "webui")]


async def _body(answer: httpx.Response) -> AsyncGenerator[bytes]:
    async for part in answer.aiter_raw():
        yield part


def _down() -> Response:
    headers = {"Retry-After": "3", "Refresh": "3", "Cache-Control": "no-store"}
    return PlainTextResponse(_DOWN, 503, headers)
