"""Server-sent events as they come from a provider (https://html.spec.whatwg.org, 9.2)."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from typing import Any

import msgspec

from services.gateway.providers.wire import unreadable

_MAX_EVENT_BYTES = 16 * 1024**2
_DONE = b"[DONE]"


async def json_events(chunks: AsyncIterable[bytes]) -> AsyncGenerator[dict[str, Any]]:
    """The data of each event, up to `[DONE]`. Raises EngineUnavailable for what is no JSON object.

    Names and ids of events are not read: every provider says the same in the data.
    """
    data: list[bytes] = []
    num_bytes = 0
    async with aclosing(_lines(chunks)) as lines:
        async for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].strip())
                num_bytes += len(line)
                if num_bytes > _MAX_EVENT_BYTES:
                    raise unreadable()
            elif not line and data:
                text, data, num_bytes = b"\n".join(data), [], 0
                if text == _DONE:
                    return
                yield _object(text)
    # A server that does not close its last event has still said it.
    if data and (text := b"\n".join(data)) != _DONE:
        yield _object(text)


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Without their ends, LF or CRLF. The last may have none."""
    pieces: list[bytes] = []
    num_bytes = 0
    async for chunk in chunks:
        for piece in io.BytesIO(chunk):
            pieces.append(piece)
            num_bytes += len(piece)
            if num_bytes > _MAX_EVENT_BYTES:
                raise unreadable()
            if piece.endswith(b"\n"):
                yield b"".join(pieces)[:-1].removesuffix(b"\r")
                pieces, num_bytes = [], 0
    if pieces:
        yield b"".join(pieces)


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise unreadable() from None
    if not isinstance(value, dict):
        raise unreadable()
    return value
