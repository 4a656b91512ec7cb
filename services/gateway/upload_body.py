"""Request bodies that are files, handed on as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import Header
from starlette.requests import ClientDisconnect, Request

from services.cluster.errors import BadRequest

_CHUNK_BYTES = 1024 * 1024  # the most that a message of an upload takes

# The body of a route in the OpenAPI document.
FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
BodySha256 = Annotated[
    str,
    Header(pattern="^([0-9A-Fa-f]{64})?$", description="Of the body; checked when it is set."),
]


async def chunks(request: Request) -> AsyncGenerator[bytes]:
    """At most 1 MiB each. Raises BadRequest when the connection ends before the body does."""
    try:
        async for data in request.stream():
            for start in range(0, len(data), _CHUNK_BYTES):
                yield data[start : start + _CHUNK_BYTES]
    except ClientDisconnect:
        raise BadRequest("The connection ended before the body was complete.") from None
