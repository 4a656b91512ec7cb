"""No request's body is longer, and none comes more slowly, than the settings allow.

Stands before routing: FastAPI reads a body before it asks who the caller is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.cluster.errors import BadRequest, PayloadTooLarge
from services.gateway.public_address import own_path
from services.gateway.settings import MIB

# Path to the longest body in bytes.
Limit = Callable[[str], int]


class BoundedBody:
    def __init__(self, app: ASGIApp, limit: Limit, silent_seconds: Callable[[], float]) -> None:
        self._app = app
        self._limit = limit
        self._silent_seconds = silent_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bounded = _bounded(scope, receive, self._limit(own_path(scope)), self._silent_seconds())
        await self._app(scope, bounded, send)


def _bounded(scope: Scope, receive: Receive, limit: int, silent_seconds: float) -> Receive:
    """Raises PayloadTooLarge before more than `limit` bytes are read, BadRequest on silence."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    too_large = PayloadTooLarge(f"The body is larger than {limit / MIB:g} MiB, the limit here.")
    num_read = 0
    complete = False

    async def bounded() -> Message:
        nonlocal num_read, complete
        if complete:
            return await receive()
        if declared.isdigit() and int(declared[:20]) > limit:
            raise too_large
        try:
            async with asyncio.timeout(silent_seconds):
                message = await receive()
        except TimeoutError:
            raise BadRequest(
                f"The body stopped coming for {silent_seconds:g} s before it was complete."
            ) from None
        num_read += len(message.get("body", b""))
        if num_read > limit:
            raise too_large
        complete = not message.get("more_body", False)
        return message

    return bounded
