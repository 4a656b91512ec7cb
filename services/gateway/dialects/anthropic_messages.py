"""POST /v1/messages and /v1/messages/count_tokens, as Anthropic's clients and Claude Code speak."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.dialects.anthropic_answers import (
    ANTHROPIC_PROBLEMS,
    Said,
    named_event,
    usage,
)
from services.gateway.dialects.anthropic_requests import ChatFields, MessagesRequest
from services.gateway.dialects.anthropic_shapes import AnthropicEvent, AnthropicMessage, TokenCount
from services.gateway.dialects.exchange import Answering, Exchange
from services.gateway.generation import CHAT_PRIORITY, Generation
from services.gateway.live_answer import event
from services.gateway.routing import Target, Use

_PING_SECONDS = 10.0


class AnthropicMessages(Exchange[MessagesRequest]):
    """Answers a chat's last message, in blocks of text, thinking and calls of tools."""

    request = MessagesRequest
    answer = AnthropicMessage
    event = AnthropicEvent
    use = Use.CHAT
    priority = CHAT_PRIORITY
    problems = ANTHROPIC_PROBLEMS
    error_event = "error"

    @property
    def streams(self) -> bool:
        return self.body.stream

    def generations(self, target: Target) -> list[Generation]:
        return [Generation(0, self.body.to_prompt(), self.body.sampling())]

    async def whole(self, answering: Answering) -> dict[str, Any]:
        said = Said()
        async with aclosing(answering.messages()) as messages:
            async for _, message in messages:
                said.add(message)
        return _message(answering, content=said.content(), **said.stop(), usage=said.usage())

    async def events(self, answering: Answering) -> AsyncGenerator[bytes]:
        said, begun, told_at = Said(), False, time.monotonic()
        async with aclosing(answering.messages()) as messages:
            async for _, message in messages:
                if not begun:
                    begun = True
                    yield _start(answering, message.num_prompt_tokens)
                    yield named_event("ping")
                said.add(message)
                for data in said.untold():
                    told_at = time.monotonic()
                    yield data
                # What waits may wait for long; the client sees that there is something.
                if time.monotonic() - told_at > _PING_SECONDS:
                    told_at = time.monotonic()
                    yield named_event("ping")
        yield named_event("message_delta", delta=said.stop(), usage=said.usage())
        yield named_event("message_stop")


class AnthropicTokenCount(Exchange[ChatFields]):
    """How many tokens a chat has, the model's chat template and the tools included."""

    request = ChatFields
    answer = TokenCount
    use = Use.CHAT
    priority = CHAT_PRIORITY
    problems = ANTHROPIC_PROBLEMS
    error_event = "error"

    @property
    def streams(self) -> bool:
        return False

    def generations(self, target: Target) -> list[Generation]:
        """None is run; it is the prompt that is counted."""
        return [Generation(0, self.body.to_prompt(), pb.SamplingParameters())]

    async def whole(self, answering: Answering) -> dict[str, Any]:
        (counted,) = answering.generations
        return {"input_tokens": await answering.num_tokens(counted.prompt)}

    async def events(self, answering: Answering) -> AsyncGenerator[bytes]:
        yield event(await self.whole(answering))


def _message(answering: Answering, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": answering.target.name,
        **fields,
        "caps_version": answering.caps_version,
    }


def _start(answering: Answering, num_prompt_tokens: int) -> bytes:
    """Of the prompt's tokens nobody knows yet how many the prefix cache had."""
    message = _message(
        answering,
        content=[],
        stop_reason=None,
        stop_sequence=None,
        usage=usage(num_prompt_tokens, 0, 0),
    )
    return named_event("message_start", message=message)
