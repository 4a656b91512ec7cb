"""POST /v1/responses, without a memory: each request brings its whole input."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

from services.cluster.errors import HearthError
from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.dialects.exchange import Answering, Exchange
from services.gateway.dialects.openai_responses_output import Event, Output, new_id
from services.gateway.dialects.openai_responses_request import ResponsesRequest
from services.gateway.dialects.openai_responses_shapes import ResponseEvent, ResponseObject
from services.gateway.generation import CHAT_PRIORITY, Generation, Usage, spread
from services.gateway.live_answer import event
from services.gateway.routing import Target, Use

_CODES = {400: "invalid_prompt", 429: "rate_limit_exceeded"}


class OpenAIResponses(Exchange[ResponsesRequest]):
    """Answers the last item of a conversation with items: reasoning, a message, calls of tools."""

    request = ResponsesRequest
    answer = ResponseObject
    event = ResponseEvent
    use = Use.CHAT
    priority = CHAT_PRIORITY
    error_event = "error"

    @property
    def streams(self) -> bool:
        return self.body.stream

    def generations(self, target: Target) -> list[Generation]:
        return spread([self.body.to_prompt()], self.body.to_sampling(), 1)

    async def whole(self, answering: Answering) -> dict[str, Any]:
        response = _Response(self.body, answering)
        async with aclosing(answering.messages()) as messages:
            async for _, message in messages:
                for _ in response.add(message):
                    pass
        return response.as_dict()

    async def events(self, answering: Answering) -> AsyncGenerator[bytes]:
        """What fails after the first of them is told by the last, `response.failed`."""
        response = _Response(self.body, answering)
        numbers = itertools.count()

        def told(found: Event) -> bytes:
            kind = found["type"]
            return event({"type": kind, "sequence_number": next(numbers), **found}, kind)

        try:
            async with aclosing(answering.messages()) as messages:
                async for _, message in messages:
                    if not response.begun:
                        for each in response.begin():
                            yield told(each)
                    for each in response.add(message):
                        yield told(each)
            yield told(response.state())
        except HearthError as error:
            if not response.begun:
                raise
            response.fail(error)
            yield told(response.state())


class _Response:
    """The one answer to `body`, as far as it has come."""

    def __init__(self, body: ResponsesRequest, answering: Answering) -> None:
        self.begun = False
        self._body = body
        self._answering = answering
        self._output = Output(body.top_logprobs if body.wants_logprobs else None)
        self._response_id = new_id("resp")
        self._created_at = int(time.time())
        self._completed_at: int | None = None
        self._status = "in_progress"
        self._incomplete: dict[str, str] | None = None
        self._error: dict[str, str] | None = None

    def begin(self) -> list[Event]:
        self.begun = True
        response = self.as_dict()
        kinds = ("response.created", "response.in_progress")
        return [{"type": kind, "response": response} for kind in kinds]

    def state(self) -> Event:
        return {"type": f"response.{self._status}", "response": self.as_dict()}

    def add(self, message: pb.GenerateResponse) -> Iterator[Event]:
        """The events of a message; they are to be read to the end."""
        yield from self._output.add(message)
        if not message.HasField("finish"):
            return
        is_cut = message.finish.reason == pb.FINISH_REASON_LENGTH
        yield from self._output.end(is_cut=is_cut)
        if is_cut:
            self._status = "incomplete"
            self._incomplete = {"reason": "max_output_tokens"}
        else:
            self._status = "completed"
            self._completed_at = int(time.time())

    def fail(self, error: HearthError) -> None:
        self._output.break_off()
        self._status = "failed"
        code = _CODES.get(error.http_status, "server_error")
        self._error = {"code": code, "message": error.message}

    def as_dict(self) -> dict[str, Any]:
        target = self._answering.target
        replica = target.speaker
        is_over = self._status in ("completed", "incomplete")
        return {
            "id": self._response_id,
            "object": "response",
            "created_at": self._created_at,
            "completed_at": self._completed_at,
            "status": self._status,
            "error": self._error,
            "incomplete_details": self._incomplete,
            "model": target.name,
            "system_fingerprint": f"{replica.engine}-{replica.engine_version}",
            "output": self._output.as_list(),
            "usage": self._usage(self._answering.usage) if is_over else None,
            **self._body.told(),
            "caps_version": self._answering.caps_version,
        }

    def _usage(self, usage: Usage) -> dict[str, Any]:
        num_prompt_tokens = sum(usage.prompt_tokens.values())
        return {
            "input_tokens": num_prompt_tokens,
            "input_tokens_details": {
                "cached_tokens": usage.cached_tokens,
                "cache_write_tokens": 0,
            },
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {
                "reasoning_tokens": self._output.num_reasoning_tokens,
            },
            "total_tokens": num_prompt_tokens + usage.completion_tokens,
        }
