"""A provider's API as a real HTTP server on this host: strict, and as broken as a test wants."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn
from starlette.types import Receive, Scope, Send

from services.cluster.http_server import HttpServer

Headers = dict[str, str]


class Refused(Exception):
    """What the API answers to a request that it does not take."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class Call:
    """A tool call, its arguments in the pieces in which they come."""

    call_id: str
    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Says:
    """What the model says next, in pieces. `reason` is the API's own word, "" for its usual one."""

    texts: tuple[str, ...] = ("Hello", ", wor", "ld.")
    thoughts: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    reason: str = ""
    has_usage: bool = True


@dataclass(frozen=True)
class Answer:
    """In place of the API's own. `data` None: the head only, and then nothing more comes."""

    status: int
    data: bytes | None = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Stream:
    """`change` makes the pieces that are sent out of the events; then the connection ends so."""

    change: Callable[[list[bytes]], Sequence[bytes]] = list
    ending: Literal["whole", "cut", "hang"] = "whole"


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: Headers
    body: Any
    client: tuple[str, int]


@dataclass
class FakeProvider(ABC):
    """`key` is the one that it takes; `gone` counts connections that the other side closed."""

    key: str
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    says: Says = Says()
    fault: Answer | Stream | None = None
    cookies: bool = False
    gone: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def reset(self) -> None:
        self.seen.clear()
        self.says, self.fault, self.gone, self.cookies = Says(), None, asyncio.Queue(), False

    @property
    def bodies(self) -> list[Any]:
        return [seen.body for seen in self.seen]

    @abstractmethod
    def check_key(self, headers: Headers) -> None:
        """Raises Refused."""

    @abstractmethod
    def answer(self, path: str, body: Any) -> dict[str, Any] | list[bytes]:
        """A JSON value, or the events of a stream. Raises Refused."""

    @abstractmethod
    def problem(self, refused: Refused) -> dict[str, Any]: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        text = await _body(receive)
        body = json.loads(text) if text else None
        path = scope["path"].removeprefix("/v1")
        self.seen.append(Seen(scope["method"], path, headers, body, scope["client"]))
        if isinstance(self.fault, Answer):
            await self._tell(self.fault, receive, send)
            return
        try:
            self.check_key(headers)
            answer = self.answer(path, body)
        except Refused as refused:
            told = json.dumps(self.problem(refused)).encode()
            await self._tell(Answer(refused.status, told), receive, send)
            return
        if isinstance(answer, dict):
            await self._tell(Answer(200, json.dumps(answer).encode()), receive, send)
        else:
            await self._stream(self.fault or Stream(), answer, receive, send)

    async def _tell(self, answer: Answer, receive: Receive, send: Send) -> None:
        headers = [("content-type", "application/json"), *answer.headers]
        await send(_head(answer.status, headers))
        if answer.data is None:
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
            await self._until_gone(receive)
            return
        await send({"type": "http.response.body", "body": answer.data})

    async def _stream(
        self, stream: Stream, events: list[bytes], receive: Receive, send: Send
    ) -> None:
        cookies = [("set-cookie", "__cf_bm=abc; path=/; HttpOnly")] if self.cookies else []
        await send(_head(200, [("content-type", "text/event-stream"), *cookies]))
        for piece in stream.change(events):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if stream.ending == "cut":
            raise ConnectionAbortedError("cut, as the test wants it")
        if stream.ending == "hang":
            await self._until_gone(receive)
            return
        await send({"type": "http.response.body", "body": b""})

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.put_nowait("gone")


def _head(status: int, headers: Sequence[tuple[str, str]]) -> dict[str, Any]:
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    return {"type": "http.response.start", "status": status, "headers": pairs}


async def _body(receive: Receive) -> bytes:
    text = b""
    while (message := await receive()).get("more_body"):
        text += message["body"]
    return text + bytes(message.get("body", b""))


def sse(value: Any, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


@asynccontextmanager
async def running(fake: FakeProvider) -> AsyncIterator[FakeProvider]:
    config = uvicorn.Config(fake, port=0, log_config=None, http="h11", lifespan="off")
    server = HttpServer(config)
    listener = config.bind_socket()
    task = asyncio.create_task(server.serve([listener]))
    await server.listening.wait()
    fake.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    yield fake
    server.force_exit = True
    server.stop()
    await task
