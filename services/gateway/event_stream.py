"""Server-sent events that go on for as long as something is watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any

from fastapi import Depends, Header, Query
from starlette.requests import Request
from starlette.responses import JSONResponse

from services.cluster.errors import Unavailable
from services.cluster.tasks import end
from services.gateway.live_answer import LiveAnswer, event_answer
from services.gateway.state import state_of
from services.gateway.views import View

_MAX_ID_CHARS = 64
_ERROR = "error"


class EventStream(JSONResponse):
    """For the OpenAPI document only, which takes the events' data for what is answered."""

    media_type = "text/event-stream"


def described(events: type[View]) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`."""
    text = "Server-sent events. Each property names an event and has the type of its data."
    return {200: {"model": events, "description": text}}


def _last_seen(
    after: Annotated[
        str, Query(max_length=_MAX_ID_CHARS, description="Goes on after the event of this id.")
    ] = "",
    last_event_id: Annotated[
        str, Header(max_length=_MAX_ID_CHARS, description="As `after`, and stronger.")
    ] = "",
) -> str:
    """A browser that connects again repeats the address it had and adds the header."""
    return last_event_id or after


LastSeen = Annotated[str, Depends(_last_seen)]


def follow(request: Request, make: Callable[[], AsyncGenerator[bytes]]) -> LiveAnswer:
    """The events of `make` until it ends; an error after the first is an event named `error`.

    The head of the answer is sent with the first, so `make` gives one, or a comment, as soon as it
    knows that this can be watched.
    """
    stopping = state_of(request).stopping
    return event_answer(request, lambda: _until(stopping, make()), _ERROR)


async def _until(stopping: asyncio.Event, events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Raises Unavailable at the stop."""
    stop = asyncio.create_task(stopping.wait())
    coming = asyncio.create_task(anext(events, None))
    try:
        while True:
            await asyncio.wait({coming, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                raise Unavailable("Hearth is being stopped. Connect again.")
            data = coming.result()
            if data is None:
                return
            yield data
            coming = asyncio.create_task(anext(events, None))
    finally:
        await end(coming)
        await end(stop)
        await events.aclose()
