"""Answers that are made while the client waits, and given up at once when it goes away.

Starlette notices a closed connection only in streaming answers, and only between two writes. Here a
watcher reads the connection beside the work, streaming or not (ASGI's http.disconnect).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from services.cluster.errors import EngineUnavailable, HearthError, Internal
from services.cluster.tasks import end
from services.gateway.metrics import DISCONNECTS
from services.gateway.problems import problem_answer, problem_form
from services.gateway.state import state_of

log = logging.getLogger(__name__)

_EVENT_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": still here\n\n"


def event(value: Any, name: str = "", event_id: str = "") -> bytes:
    """One server-sent event with a JSON value."""
    head = f"id: {event_id}\n" if event_id else ""
    head += f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


class Sending:
    """ASGI's send, which remembers whether the answer has begun and waits for nobody forever.

    `sent_at` is of the monotonic clock. Two tasks may send: messages go in the order of the calls.
    """

    def __init__(self, send: Send, write_seconds: float) -> None:
        self._send = send
        self._write_seconds = write_seconds
        self._turn = asyncio.Lock()
        self.begun = False
        self.sent_at = time.monotonic()

    async def __call__(self, message: Any) -> None:
        self.begun = True
        async with self._turn, asyncio.timeout(self._write_seconds):
            await self._send(message)
        self.sent_at = time.monotonic()

    async def begin_events(self) -> None:
        """The head of an answer of server-sent events, once."""
        if not self.begun:
            await self({"type": "http.response.start", "status": 200, "headers": _EVENT_HEADERS})

    async def body(self, data: bytes, *, more: bool) -> None:
        await self({"type": "http.response.body", "body": data, "more_body": more})


Work = Callable[[Sending, Scope, Receive], Awaitable[None]]


class LiveAnswer(Response):
    """Runs `work` until it is done or the client is gone.

    `error_event` names the event that tells an error after the first byte.
    """

    def __init__(self, request: Request, work: Work, error_event: str = "") -> None:
        self.background = None
        self._error_event = error_event
        self._work = work
        self._request = request
        self._state = state_of(request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = Sending(send, self._state.settings.write_seconds)
        work = asyncio.create_task(self._guarded(sending, scope, receive))
        gone = asyncio.create_task(_gone(receive))
        ending = asyncio.create_task(self._state.ending.wait())
        try:
            await asyncio.wait({work, gone, ending}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done() and not work.done():
                DISCONNECTS.inc()
            elif not work.done():
                await end(work)
                stopped = EngineUnavailable("Hearth is being stopped. Ask again.")
                await self._fail(stopped, sending, scope, receive)
        finally:
            await asyncio.gather(end(work), end(gone), end(ending))

    async def _guarded(self, sending: Sending, scope: Scope, receive: Receive) -> None:
        try:
            await self._work(sending, scope, receive)
        except HearthError as error:
            await self._fail(error, sending, scope, receive)
        except TimeoutError:
            log.info("client does not read its answer; given up")
        except (Exception, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            log.exception("request failed")
            fault = Internal("The gateway met a fault of its own; its log has the details.")
            await self._fail(fault, sending, scope, receive)

    async def _fail(
        self, error: HearthError, sending: Sending, scope: Scope, receive: Receive
    ) -> None:
        """An answer of its own before the first byte, an event (and no [DONE]) after it."""
        caps_version = self._state.view.caps_version
        if not sending.begun:
            answer = problem_answer(self._request, error, caps_version)
            await answer(scope, receive, sending)
            return
        value = problem_form(self._request).body(error, caps_version)
        await sending.body(event(value, self._error_event), more=False)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def json_answer(request: Request, make: Callable[[], Awaitable[Any]]) -> LiveAnswer:
    """The JSON of what `make` returns."""

    async def work(send: Sending, scope: Scope, receive: Receive) -> None:
        value = await make()
        await JSONResponse(value, headers={"Cache-Control": "no-store"})(scope, receive, send)

    return LiveAnswer(request, work)


def event_answer(
    request: Request, make: Callable[[], AsyncGenerator[bytes]], error_event: str = ""
) -> LiveAnswer:
    """The events of `make`. Nothing is sent before the first: what fails early has its status.

    Comments stand where `keep_alive_seconds` pass without an event, so that no proxy closes the
    connection; the first may be one.
    """
    seconds = state_of(request).settings.keep_alive_seconds

    async def work(send: Sending, scope: Scope, receive: Receive) -> None:
        alive = asyncio.create_task(_keep_alive(send, seconds))
        try:
            async with aclosing(make()) as events:
                async for data in events:
                    await send.begin_events()
                    await send.body(data, more=True)
            await send.begin_events()
        finally:
            await end(alive)
        await send.body(b"", more=False)

    return LiveAnswer(request, work, error_event)


async def _keep_alive(send: Sending, seconds: float) -> None:
    """Ends when the client does not read: whoever sends the next event says so."""
    with contextlib.suppress(TimeoutError):
        while True:
            silent = time.monotonic() - send.sent_at
            await asyncio.sleep(seconds - silent)
            if time.monotonic() - send.sent_at >= seconds:
                await send.begin_events()
                await send.body(KEEP_ALIVE, more=True)
