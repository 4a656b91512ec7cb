"""POST /v1/chat/completions, by the chat template of the model's own tokenizer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.auth import COMPLETIONS, Caller
from services.gateway.generation import CHAT_PRIORITY, Generation, Usage, run, spread
from services.gateway.live_answer import event_answer, json_answer
from services.gateway.openai_answers import Envelope, chat_logprobs, chunks, finish_reason
from services.gateway.openai_requests import ChatRequest
from services.gateway.request_body import read_json
from services.gateway.routing import Use, resolve
from services.gateway.state import GatewayState, state_of

router = APIRouter()


@router.post("/v1/chat/completions")
async def chat(request: Request, caller: Annotated[Caller, Depends(COMPLETIONS)]) -> Response:
    """Answers a chat's last message."""
    body = await read_json(request, ChatRequest)
    answer = ChatAnswer(state_of(request), caller, body)
    if body.stream:
        return event_answer(request, answer.events)
    return json_answer(request, answer.whole)


@dataclass
class _Message:
    """What one answer has so far. Tool calls by their index."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tool_calls: dict[int, pb.ToolCall] = field(default_factory=dict)
    positions: list[pb.PositionLogprobs] = field(default_factory=list)
    reason: str | None = None

    def add(self, message: pb.GenerateResponse) -> None:
        self.texts.append(message.text)
        self.reasoning.append(message.reasoning)
        self.positions += message.logprobs
        self.reason = finish_reason(message) or self.reason
        for delta in message.tool_calls:
            call = self.tool_calls.setdefault(delta.index, pb.ToolCall())
            call.id = delta.id or call.id
            call.name = delta.name or call.name
            call.arguments += delta.arguments

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"role": "assistant", "content": "".join(self.texts)}
        if reasoning := "".join(self.reasoning):
            found["reasoning_content"] = reasoning
        if self.tool_calls:
            found["content"] = found["content"] or None
            found["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for _, call in sorted(self.tool_calls.items())
            ]
        return found


class ChatAnswer:
    """One request on its way. Raises what `resolve` and the replica raise."""

    def __init__(self, state: GatewayState, caller: Caller, body: ChatRequest) -> None:
        self._state = state
        self._caller = caller
        self._body = body
        self._target = resolve(state.view, body.model or "", caller.team_id, Use.CHAT)
        kind = "chat.completion.chunk" if body.stream else "chat.completion"
        self._envelope = Envelope(self._target, state.view.caps_version, "chatcmpl", kind)
        sampling = body.sampling(None)
        if body.num_logprobs is not None:
            sampling.num_logprobs = body.num_logprobs
        self._generations = spread([body.to_prompt()], sampling, body.n)
        self._usage = Usage()

    async def whole(self) -> dict[str, Any]:
        answers = [_Message() for _ in self._generations]
        async with aclosing(self._messages()) as messages:
            async for generation, message in messages:
                answers[generation.index].add(message)
        return self._envelope.wrap(
            [
                {
                    "index": index,
                    "message": answer.as_dict(),
                    "logprobs": self._logprobs(answer.positions),
                    "finish_reason": answer.reason,
                }
                for index, answer in enumerate(answers)
            ],
            usage=self._usage.as_dict(),
        )

    def events(self) -> AsyncGenerator[bytes]:
        with_usage = self._body.stream_options.include_usage
        return chunks(self._envelope, self._deltas(), self._usage, with_usage)

    async def _deltas(self) -> AsyncGenerator[dict[str, Any]]:
        begun: set[int] = set()
        async with aclosing(self._messages()) as messages:
            async for generation, message in messages:
                delta = _delta(message)
                if generation.index not in begun:
                    begun.add(generation.index)
                    delta = {"role": "assistant", "content": "", **delta}
                reason = finish_reason(message)
                if delta or reason:
                    yield {
                        "index": generation.index,
                        "delta": delta,
                        "logprobs": self._logprobs(message.logprobs),
                        "finish_reason": reason,
                    }

    async def _messages(self) -> AsyncGenerator[tuple[Generation, pb.GenerateResponse]]:
        messages = run(
            self._state.replicas, self._target, self._caller, self._generations, CHAT_PRIORITY
        )
        async with aclosing(messages):
            async for generation, message in messages:
                if message.HasField("finish"):
                    self._usage.add(generation, message.finish)
                yield generation, message

    def _logprobs(self, positions: Any) -> dict[str, Any] | None:
        if self._body.num_logprobs is None:
            return None
        return chat_logprobs(positions, self._body.num_logprobs)


def _delta(message: pb.GenerateResponse) -> dict[str, Any]:
    delta: dict[str, Any] = {}
    if message.text:
        delta["content"] = message.text
    if message.reasoning:
        delta["reasoning_content"] = message.reasoning
    if message.tool_calls:
        delta["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    return delta


def _tool_call(delta: pb.ToolCallDelta) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": delta.arguments}
    if delta.name:
        function["name"] = delta.name
    first = {"id": delta.id, "type": "function"} if delta.id else {}
    return {"index": delta.index, **first, "function": function}
