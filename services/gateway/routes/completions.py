"""POST /v1/completions: text and fill-in-the-middle, as OpenAI and the Refact plugin speak it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.auth import COMPLETIONS, Caller
from services.gateway.generation import COMPLETION_PRIORITY, Generation, Usage, run, spread
from services.gateway.live_answer import event_answer, json_answer
from services.gateway.openai_answers import (
    Envelope,
    chunks,
    completion_logprobs,
    finish_reason,
)
from services.gateway.openai_requests import CompletionRequest
from services.gateway.request_body import read_json
from services.gateway.routing import Target, resolve
from services.gateway.state import GatewayState, state_of

router = APIRouter()

_DEFAULT_MAX_TOKENS = 16  # OpenAI's
_KIND = "text_completion"


@router.post("/v1/completions")
async def complete(request: Request, caller: Annotated[Caller, Depends(COMPLETIONS)]) -> Response:
    """Continues prompts, or fills the place between `prompt` and `suffix`."""
    body = await read_json(request, CompletionRequest)
    completion = Completion(state_of(request), caller, body)
    if body.stream:
        return event_answer(request, completion.events)
    return json_answer(request, completion.whole)


@dataclass
class _Choice:
    """What one answer has so far."""

    texts: list[str] = field(default_factory=list)
    positions: list[pb.PositionLogprobs] = field(default_factory=list)
    reason: str | None = None


class Completion:
    """One request on its way. Raises what `resolve` and the replica raise."""

    def __init__(self, state: GatewayState, caller: Caller, body: CompletionRequest) -> None:
        self._state = state
        self._caller = caller
        self._body = body
        self._target = resolve(state.view, body.model or "", caller.team_id)
        self._envelope = Envelope(self._target, state.view.caps_version, "cmpl", _KIND)
        self._generations = spread(body.prompts(), self._sampling(), body.n)
        self._usage = Usage()

    async def whole(self) -> dict[str, Any]:
        choices = [_Choice() for _ in self._generations]
        async with aclosing(self._pieces()) as pieces:
            async for generation, piece in pieces:
                choice = choices[generation.index]
                choice.texts.append(piece.text)
                choice.positions += piece.positions
                choice.reason = piece.reason or choice.reason
        return self._envelope.wrap(
            [
                {
                    "index": index,
                    "text": "".join(choice.texts),
                    "logprobs": self._logprobs(choice.positions, 0),
                    "finish_reason": choice.reason,
                }
                for index, choice in enumerate(choices)
            ],
            usage=self._usage.as_dict(),
        )

    def events(self) -> AsyncGenerator[bytes]:
        with_usage = self._body.stream_options.include_usage
        return chunks(self._envelope, self._deltas(), self._usage, with_usage)

    async def _deltas(self) -> AsyncGenerator[dict[str, Any]]:
        num_chars = [0] * len(self._generations)
        async with aclosing(self._pieces()) as pieces:
            async for generation, piece in pieces:
                offset = num_chars[generation.index]
                num_chars[generation.index] += len(piece.text)
                yield {
                    "index": generation.index,
                    "text": piece.text,
                    "logprobs": self._logprobs(piece.positions, offset),
                    "finish_reason": piece.reason,
                }

    def _sampling(self) -> pb.SamplingParameters:
        body = self._body
        sampling = body.sampling(_DEFAULT_MAX_TOKENS)
        if body.logprobs is not None:
            sampling.num_logprobs = body.logprobs
            sampling.prompt_logprobs = body.echo
        return sampling

    async def _pieces(self) -> AsyncGenerator[tuple[Generation, _Piece]]:
        """The prompt first where it is to be echoed; nothing is generated for max_tokens 0."""
        echoed: set[int] = set()
        only_echo = self._body.num_new_tokens == 0
        messages = run(
            self._state.replicas,
            self._target,
            self._caller,
            self._generations,
            COMPLETION_PRIORITY,
        )
        async with aclosing(messages):
            async for generation, message in messages:
                if self._body.echo and generation.index not in echoed:
                    echoed.add(generation.index)
                    text = await _text_of(self._state, self._target, generation.prompt)
                    yield generation, _Piece(text, message.prompt_logprobs, None)
                reason = finish_reason(message)
                if message.HasField("finish"):
                    if only_echo:
                        message.finish.num_generated_tokens = 0
                        reason = "length"
                    self._usage.add(generation, message.finish)
                if only_echo:
                    if reason:
                        yield generation, _Piece("", (), reason)
                elif message.text or message.logprobs or reason:
                    yield generation, _Piece(message.text, message.logprobs, reason)

    def _logprobs(
        self, positions: Sequence[pb.PositionLogprobs], offset: int
    ) -> dict[str, Any] | None:
        if self._body.logprobs is None:
            return None
        return completion_logprobs(positions, self._body.logprobs, offset)


@dataclass(frozen=True)
class _Piece:
    text: str
    positions: Sequence[pb.PositionLogprobs]
    reason: str | None


async def _text_of(state: GatewayState, target: Target, prompt: pb.Prompt) -> str:
    if prompt.HasField("tokens"):
        return await state.replicas.text_of(target, prompt.tokens.ids)
    return prompt.text
