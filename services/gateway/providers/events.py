"""Server-sent events as they come from a provider (https://html.spec.whatwg.org, 9.2)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

import msgspec

from services.gateway.providers.wire import unreadable

_MAX_EVENT_BYTES = 16 * 1024**2
_DONE = b"[DONE]"


async def json_events(chunks: AsyncIterable[bytes]) -> AsyncGenerator[dict[str, Any]]:
    """The data of each event, up to `[DONE]`. Raises EngineUnavailable for what is no JSON object.

    Names and ids of events are not read: every provider says the same in the data.
    """
    rest = b""
    data: list[bytes] = []
    async for chunk in chunks:
        *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        if len(rest) > _MAX_EVENT_BYTES:
            raise unreadable()
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].strip())
            elif not line and data:
                text, data = b"\n".join(data), []
                if text == _DONE:
                    return
                yield _object(text)
    # A server that does not close its last event has still said it.
    if rest.startswith(b"data:"):
        data.append(rest[5:].strip())
    if data and (text := b"\n".join(data)) != _DONE:
        yield _object(text)


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise unreadable() from None
    if not isinstance(value, dict):
        raise unreadable()
    return value
