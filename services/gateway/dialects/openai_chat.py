"""POST /v1/chat/completions, by the chat template of the model's own tokenizer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.dialects.exchange import Answering, Exchange
from services.gateway.dialects.openai_answers import (
    Envelope,
    chat_logprobs,
    chunks,
    finish_reason,
)
from services.gateway.dialects.openai_requests import ChatRequest
from services.gateway.dialects.openai_shapes import ChatCompletion, ChatCompletionChunk
from services.gateway.generation import CHAT_PRIORITY, Generation, spread
from services.gateway.routing import Target, Use


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


class OpenAIChat(Exchange[ChatRequest]):
    """Answers a chat's last message."""

    request = ChatRequest
    answer = ChatCompletion
    event = ChatCompletionChunk
    use = Use.CHAT
    priority = CHAT_PRIORITY

    @property
    def streams(self) -> bool:
        return self.body.stream

    def generations(self, target: Target) -> list[Generation]:
        return spread([self.body.to_prompt()], self.body.chat_sampling(), self.body.n)

    async def whole(self, answering: Answering) -> dict[str, Any]:
        answers = [_Message() for _ in answering.generations]
        async with aclosing(answering.messages()) as messages:
            async for generation, message in messages:
                answers[generation.index].add(message)
        return _envelope(answering, "chat.completion").wrap(
            [
                {
                    "index": index,
                    "message": answer.as_dict(),
                    "logprobs": self._logprobs(answer.positions),
                    "finish_reason": answer.reason,
                }
                for index, answer in enumerate(answers)
            ],
            usage=answering.usage.as_dict(),
        )

    def events(self, answering: Answering) -> AsyncGenerator[bytes]:
        envelope = _envelope(answering, "chat.completion.chunk")
        with_usage = self.body.stream_options.include_usage
        return chunks(envelope, self._deltas(answering), answering.usage, with_usage)

    async def _deltas(self, answering: Answering) -> AsyncGenerator[dict[str, Any]]:
        begun: set[int] = set()
        async with aclosing(answering.messages()) as messages:
            async for generation, message in messages:
                delta = _delta(message)
                if generation.index not in begun:
                    begun.add(generation.index)
                    delta = {"role": "assistant", "content": "", **delta}
                reason = finish_reason(message)
                # What a token says may come with a later one, its probability comes with it.
                if delta or message.logprobs or reason:
                    yield {
                        "index": generation.index,
                        "delta": delta,
                        "logprobs": self._logprobs(message.logprobs),
                        "finish_reason": reason,
                    }

    def _logprobs(self, positions: Any) -> dict[str, Any] | None:
        if self.body.num_logprobs is None:
            return None
        return chat_logprobs(positions, self.body.num_logprobs)


def _envelope(answering: Answering, kind: str) -> Envelope:
    return Envelope(answering.target, answering.caps_version, "chatcmpl", kind)


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
