"""The two sides of a session: generations that say what a test tells them, and their caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from services.cluster.log import request_id_var
from services.cluster.pb.v1 import replica_pb2 as pb
from services.inference.serving.session import Session
from tests.inference.serving.replicas import PATIENCE_SECONDS, text_request

ENDED = pb.GenerateResponse(finish=pb.Finish(reason=pb.FINISH_REASON_LENGTH))


class Generator:
    """Generations that say what the test tells them; each is known by its prompt's text."""

    def __init__(self) -> None:
        self.feeds: dict[str, asyncio.Queue[pb.GenerateResponse | Exception]] = {}
        self.closed: list[str] = []
        self.request_ids: dict[str, str] = {}

    async def run(self, request: pb.GenerateRequest) -> AsyncGenerator[pb.GenerateResponse]:
        name = request.prompt.text
        feed = self.feeds[name] = asyncio.Queue()
        self.request_ids[name] = request_id_var.get()
        try:
            while True:
                item = await feed.get()
                if isinstance(item, Exception):
                    raise item
                yield item
                if item.HasField("finish"):
                    return
        finally:
            self.closed.append(name)

    def say(self, name: str, *texts: str) -> None:
        for number, text in enumerate(texts):
            response = pb.GenerateResponse(text=text, token_ids=[number])
            self.feeds[name].put_nowait(response)

    def end(self, name: str) -> None:
        self.feeds[name].put_nowait(ENDED)


class Conversation:
    """The caller's side of one session. It always listens for the next response."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self._requests: asyncio.Queue[pb.SessionRequest | None] = asyncio.Queue()
        self.responses = Session(generator.run).responses(self._read())
        self.pending = asyncio.create_task(self._next())

    async def _read(self) -> AsyncIterator[pb.SessionRequest]:
        while request := await self._requests.get():
            yield request

    async def _next(self) -> dict[int, pb.SessionDelta]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            response = await anext(self.responses)
        return {delta.slot: delta for delta in response.deltas}

    async def hear(self) -> dict[int, pb.SessionDelta]:
        """The next response, by slot."""
        found = await self.pending
        self.pending = asyncio.create_task(self._next())
        return found

    async def hear_nothing(self) -> None:
        """Lets everything run that can: nothing is due."""
        for _ in range(10):
            await asyncio.sleep(0)
        assert not self.pending.done()

    def send(self, **action: Any) -> None:
        self._requests.put_nowait(pb.SessionRequest(**action))

    def start(self, slot: int, name: str, credit: int = 100) -> None:
        request = text_request(name)
        request.context.request_id = f"id-{name}"
        self.send(start=pb.SessionStart(slot=slot, request=request, credit=credit))

    async def run(self, slot: int, name: str, credit: int = 100) -> None:
        """Returns when the generation runs."""
        self.start(slot, name, credit)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while name not in self.generator.feeds:
                await asyncio.sleep(0)

    def end(self) -> None:
        self._requests.put_nowait(None)

    async def close(self) -> None:
        self.pending.cancel()
        await asyncio.gather(self.pending, return_exceptions=True)
        await self.responses.aclose()
