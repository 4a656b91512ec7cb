"""POST /v1/completions: text and fill-in-the-middle, as OpenAI and the Refact plugin speak it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.dialects.exchange import Answering, Exchange
from services.gateway.dialects.openai_answers import (
    Envelope,
    chunks,
    completion_logprobs,
    finish_reason,
)
from services.gateway.dialects.openai_requests import CompletionRequest
from services.gateway.dialects.openai_shapes import Completion, CompletionChunk
from services.gateway.generation import COMPLETION_PRIORITY, Generation, spread
from services.gateway.routing import Target, Use

_DEFAULT_MAX_TOKENS = 16  # OpenAI's


@dataclass
class _Choice:
    """What one answer has so far."""

    texts: list[str] = field(default_factory=list)
    positions: list[pb.PositionLogprobs] = field(default_factory=list)
    reason: str | None = None


@dataclass(frozen=True)
class _Piece:
    text: str
    positions: Sequence[pb.PositionLogprobs]
    reason: str | None


class OpenAICompletion(Exchange[CompletionRequest]):
    """Continues prompts, or fills the place between `prompt` and `suffix`."""

    request = CompletionRequest
    answer = Completion
    event = CompletionChunk
    use = Use.COMPLETION
    priority = COMPLETION_PRIORITY

    @property
    def streams(self) -> bool:
        return self.body.stream

    def generations(self, target: Target) -> list[Generation]:
        sampling = self.body.sampling(_DEFAULT_MAX_TOKENS)
        if self.body.logprobs is not None:
            sampling.num_logprobs = self.body.logprobs
            sampling.prompt_logprobs = self.body.echo
        return spread(self.body.prompts(), sampling, self.body.n)

    async def whole(self, answering: Answering) -> dict[str, Any]:
        choices = [_Choice() for _ in answering.generations]
        async with aclosing(self._pieces(answering)) as pieces:
            async for generation, piece in pieces:
                choice = choices[generation.index]
                choice.texts.append(piece.text)
                choice.positions += piece.positions
                choice.reason = piece.reason or choice.reason
        return _envelope(answering).wrap(
            [
                {
                    "index": index,
                    "text": "".join(choice.texts),
                    "logprobs": self._logprobs(choice.positions, 0),
                    "finish_reason": choice.reason,
                }
                for index, choice in enumerate(choices)
            ],
            usage=answering.usage.as_dict(),
        )

    def events(self, answering: Answering) -> AsyncGenerator[bytes]:
        with_usage = self.body.stream_options.include_usage
        return chunks(_envelope(answering), self._deltas(answering), answering.usage, with_usage)

    async def _deltas(self, answering: Answering) -> AsyncGenerator[dict[str, Any]]:
        num_chars = [0] * len(answering.generations)
        async with aclosing(self._pieces(answering)) as pieces:
            async for generation, piece in pieces:
                offset = num_chars[generation.index]
                num_chars[generation.index] += len(piece.text)
                yield {
                    "index": generation.index,
                    "text": piece.text,
                    "logprobs": self._logprobs(piece.positions, offset),
                    "finish_reason": piece.reason,
                }

    async def _pieces(self, answering: Answering) -> AsyncGenerator[tuple[Generation, _Piece]]:
        """The prompt first where it is to be echoed; nothing is generated for max_tokens 0."""
        echoed: set[int] = set()
        only_echo = self.body.num_new_tokens == 0
        async with aclosing(answering.messages()) as messages:
            async for generation, message in messages:
                if self.body.echo and generation.index not in echoed:
                    echoed.add(generation.index)
                    text = await answering.text_of(generation.prompt)
                    yield generation, _Piece(text, message.prompt_logprobs, None)
                reason = finish_reason(message)
                if only_echo:
                    if reason:
                        answering.usage.completion_tokens -= message.finish.num_generated_tokens
                        yield generation, _Piece("", (), "length")
                elif message.text or message.logprobs or reason:
                    yield generation, _Piece(message.text, message.logprobs, reason)

    def _logprobs(
        self, positions: Sequence[pb.PositionLogprobs], offset: int
    ) -> dict[str, Any] | None:
        if self.body.logprobs is None:
            return None
        return completion_logprobs(positions, self.body.logprobs, offset)


def _envelope(answering: Answering) -> Envelope:
    return Envelope(answering.target, answering.caps_version, "cmpl", "text_completion")
