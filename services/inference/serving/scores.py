"""Losses of texts: of one request, and of a stream of them that never ends in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from services.cluster.errors import BadRequest, PayloadTooLarge
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.tasks import together
from services.inference.engines.base import Engine
from services.inference.serving.generations import Generations
from services.inference.serving.metrics import TOKENS

MAX_TEXTS = 256
MAX_TEXT_BYTES = 1024 * 1024
_OPEN_TEXTS = 64  # of a stream: more than any engine reads in one step
_OPEN_BYTES = 4 * 1024 * 1024


def check_texts(texts: Sequence[str], param: str) -> None:
    """Raises BadRequest or PayloadTooLarge."""
    if not 1 <= len(texts) <= MAX_TEXTS:
        raise BadRequest(f"Send 1 to {MAX_TEXTS} texts, not {len(texts)}.", param=param)
    for number, text in enumerate(texts):
        if (num_bytes := len(text.encode())) > MAX_TEXT_BYTES:
            raise PayloadTooLarge(
                f"Text {number} has {num_bytes} bytes; {MAX_TEXT_BYTES} are allowed: cut it.",
                param=param,
            )


class Scores:
    """Raises BadRequest, PayloadTooLarge for a text that is too long, and what the engine does."""

    def __init__(self, engine: Engine, generations: Generations) -> None:
        self._engine = engine
        self._generations = generations

    async def of(self, request: pb.ScoreRequest) -> pb.ScoreResponse:
        check_texts(request.texts, param="texts")
        scores = await together(self._score(text, request.adapter_id) for text in request.texts)
        return pb.ScoreResponse(scores=scores)

    async def stream(
        self, requests: AsyncIterator[pb.ScoreRequest]
    ) -> AsyncGenerator[pb.ScoreResponse]:
        """Closing it aborts every text that is open."""
        opened = _Opened()
        reader = asyncio.create_task(self._read(requests, opened), name="score-reader")
        try:
            while scores := await opened.next_ones():
                yield pb.ScoreResponse(scores=scores)
            await reader
        finally:
            tasks = [reader, *opened.tasks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[pb.ScoreRequest], opened: _Opened) -> None:
        try:
            async for request in requests:
                check_texts(request.texts, param="texts")
                for text in request.texts:
                    await opened.room_for(text)
                    opened.add(text, asyncio.create_task(self._score(text, request.adapter_id)))
        finally:
            opened.end()

    async def _score(self, text: str, adapter_id: str) -> pb.TextScore:
        tokenizer = self._engine.tokenizer
        token_ids = await self._generations.behind(lambda: tokenizer.encode_plain(text))
        score = await self._engine.score(token_ids, adapter_id)
        deployment = self._engine.config.deployment
        TOKENS.labels(deployment, "scored").inc(score.num_scored_tokens)
        return pb.TextScore(
            mean_loss=score.mean_loss,
            num_scored_tokens=score.num_scored_tokens,
            num_bytes=len(text.encode()),
        )


class _Opened:
    """The open texts of a stream in their order. One side adds, the other takes."""

    def __init__(self) -> None:
        self._texts: deque[tuple[int, asyncio.Task[pb.TextScore]]] = deque()
        self._num_bytes = 0
        self._ended = False
        self._taken = asyncio.Event()
        self._added = asyncio.Event()

    @property
    def tasks(self) -> Sequence[asyncio.Task[pb.TextScore]]:
        return [task for _, task in self._texts]

    async def room_for(self, text: str) -> None:
        """Bounded in number and bytes; a text alone may be of any size."""
        while self._texts and (
            len(self._texts) >= _OPEN_TEXTS or self._num_bytes + len(text) > _OPEN_BYTES
        ):
            self._taken.clear()
            await self._taken.wait()

    def add(self, text: str, task: asyncio.Task[pb.TextScore]) -> None:
        self._texts.append((len(text), task))
        self._num_bytes += len(text)
        self._added.set()

    def end(self) -> None:
        self._ended = True
        self._added.set()

    async def next_ones(self) -> list[pb.TextScore]:
        """All that are ready, at least one; none at the end. Raises what scoring the next did."""
        while not self._texts:
            if self._ended:
                return []
            self._added.clear()
            await self._added.wait()
        await asyncio.wait([self._texts[0][1]])
        scores = []
        while self._texts and self._texts[0][1].done():
            num_bytes, task = self._texts.popleft()
            self._num_bytes -= num_bytes
            scores.append(task.result())
        self._taken.set()
        return scores
