"""Every GET that nothing else claims: the web interface, fetched from its own process."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import Annotated

import httpx
from fastapi import APIRouter, Depends
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from services.cluster.errors import NotFound
from services.gateway.auth import ANYBODY, Caller
from services.gateway.state import GatewayState, state_of

log = logging.getLogger(__name__)
router = APIRouter()

EVERY_PATH = "/{path:path}"
_API_PREFIXES = ("api/", "v1/", "tabby/", "stats/")
_SENT_ON = ("accept", "accept-encoding", "if-none-match", "if-modified-since", "range")
_NOT_SENT_BACK = {"connection", "keep-alive", "transfer-encoding", "date", "server"}
_DOWN = (
    "Hearth's web interface is not up.\n\n"
    "It may still be starting: this page loads again by itself every few seconds.\n"
    "The API works without it; GET /readyz says what does.\n"
)


@router.api_route(EVERY_PATH, methods=["GET", "HEAD"], include_in_schema=False)
async def page(
    request: Request, path: str, caller: Annotated[Caller, Depends(ANYBODY)]
) -> Response:
    """Streams what the web interface's server answers. No cookie and no token goes there."""
    if path.startswith(_API_PREFIXES):
        raise NotFound(f"There is no {request.method} /{path[:200]} here.")
    state = state_of(request)
    address = webui_address(state)
    if not address:
        return _down()
    headers = {name: request.headers[name] for name in _SENT_ON if name in request.headers}
    forwarded = state.pages.build_request(
        request.method, f"http://{address}/{path}", headers=headers
    )
    try:
        answer = await state.pages.send(forwarded, stream=True)
    except httpx.TransportError as error:
        log.warning("web interface does not answer", extra={"reason": str(error)})
        return _down()
    return StreamingResponse(
        _body(answer),
        answer.status_code,
        {name: value for name, value in answer.headers.items() if name not in _NOT_SENT_BACK},
        background=BackgroundTask(answer.aclose),
    )


def webui_address(state: GatewayState) -> str:
    """HOST:PORT, "" while the web interface is down."""
    for process in state.view.processes.values():
        if process.service == "webui" and process.status == "ready":
            return process.http_address
    return ""


async def _body(answer: httpx.Response) -> AsyncGenerator[bytes]:
    async for part in answer.aiter_raw():
        yield part


def _down() -> Response:
    headers = {"Retry-After": "3", "Refresh": "3", "Cache-Control": "no-store"}
    return PlainTextResponse(_DOWN, 503, headers)
