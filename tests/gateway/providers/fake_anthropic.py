"""Anthropic's API. Requests and answers are held to the types of the `anthropic` package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_type_hints

from anthropic.types import ModelInfo, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from pydantic import TypeAdapter

from tests.gateway.providers.fake_server import FakeProvider, Headers, Refused, sse

_EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
_FIELDS = set(get_type_hints(MessageCreateParamsStreaming))


class FakeAnthropic(FakeProvider):
    def check_key(self, headers: Headers) -> None:
        if headers.get("anthropic-version") != "2023-06-01":
            raise Refused(400, "anthropic-version: header is required")
        if headers.get("x-api-key") != self.key:
            raise Refused(401, f"invalid x-api-key: {headers.get('x-api-key', '')[:12]}...")

    def problem(self, refused: Refused) -> dict[str, Any]:
        error = {"type": "invalid_request_error", "message": refused.message}
        return {"type": "error", "error": error, "request_id": "req_1"}

    def answer(self, path: str, body: Any) -> dict[str, Any] | list[bytes]:
        if path == "/models":
            return {"data": [self.model()], "has_more": False, "first_id": "x", "last_id": "x"}
        if path != "/messages":
            raise Refused(404, "Not Found")
        self.check(body)
        return [sse(value, value["type"]) for value in self.events(body)]

    def model(self) -> dict[str, Any]:
        model = {
            "type": "model",
            "id": "claude-sonnet",
            "display_name": "Claude",
            "created_at": "2025-01-01T00:00:00Z",
            "max_input_tokens": 200000,
            "max_tokens": 64000,
            "lifecycle": "active",
        }
        ModelInfo.model_validate(model)
        return model

    def check(self, body: dict[str, Any]) -> None:
        if unknown := sorted(set(body) - _FIELDS):
            raise Refused(400, f"{unknown[0]}: Extra inputs are not permitted")
        for name in ("model", "max_tokens", "messages"):
            if name not in body:
                raise Refused(400, f"{name}: Field required")
        if not body["messages"]:
            raise Refused(400, "messages: at least one message is required")
        if not 0 <= body.get("temperature", 0) <= 1:
            raise Refused(400, "temperature: range: -1..1")
        if "temperature" in body and "top_p" in body:
            raise Refused(400, "`temperature` and `top_p` cannot both be specified for this model.")
        if any(not stop.strip() for stop in body.get("stop_sequences", [])):
            raise Refused(400, "stop_sequences: each stop sequence must contain non-whitespace")
        self._check_turns(body["messages"])

    def _check_turns(self, turns: list[dict[str, Any]]) -> None:
        if [turn["role"] for turn in turns] != [
            ("user", "assistant")[i % 2] for i in range(len(turns))
        ]:
            raise Refused(400, "messages: roles must alternate between user and assistant")
        used: list[str] = []
        for turn in turns:
            content = turn["content"]
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            if not blocks:
                raise Refused(400, "messages: all messages must have non-empty content")
            answered = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
            if sorted(answered) != sorted(used):
                raise Refused(400, "`tool_use` ids were found without `tool_result` blocks")
            for block in blocks:
                self._check_block(block)
            used = [block["id"] for block in blocks if block["type"] == "tool_use"]
        last = turns[-1]["content"][-1]
        if turns[-1]["role"] == "assistant" and last.get("text", "").rstrip() != last.get("text"):
            raise Refused(400, "final assistant content cannot end with trailing whitespace")

    def _check_block(self, block: dict[str, Any]) -> None:
        match block["type"]:
            case "text" if not block["text"].strip():
                raise Refused(400, "messages: text content blocks must contain non-whitespace text")
            case "tool_use":
                if not isinstance(block["input"], dict):
                    raise Refused(400, "tool_use.input: Input should be a valid dictionary")
                if not re.fullmatch("[a-zA-Z0-9_-]+", block["id"]):
                    raise Refused(400, "tool_use.id: String should match '^[a-zA-Z0-9_-]+$'")
            case "tool_result":
                for inner in block.get("content", []):
                    self._check_block(inner)

    def events(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for value in self._events(body):
            _EVENTS.validate_python(value)
            yield value
            if value["type"] == "message_start":
                yield {"type": "ping"}

    def _events(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        cached = {"cache_read_input_tokens": 3, "cache_creation_input_tokens": 2}
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 6, "output_tokens": 1, **cached},
        }
        yield {"type": "message_start", "message": message}
        blocks = list(self._blocks())
        for index, (block, deltas) in enumerate(blocks):
            yield {"type": "content_block_start", "index": index, "content_block": block}
            for delta in deltas:
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
        reason = self.says.reason or ("tool_use" if self.says.calls else "end_turn")
        usage: dict[str, Any] = {"output_tokens": 5}
        if self.says.has_usage:
            usage |= {"input_tokens": 6, "cache_read_input_tokens": None}
        delta = {"stop_reason": reason, "stop_sequence": None}
        yield {"type": "message_delta", "delta": delta, "usage": usage}
        yield {"type": "message_stop"}

    def _blocks(self) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        if self.says.thoughts:
            thoughts = [{"type": "thinking_delta", "thinking": t} for t in self.says.thoughts]
            signed = {"type": "signature_delta", "signature": "EqQBCgIYAg=="}
            yield {"type": "thinking", "thinking": "", "signature": ""}, [*thoughts, signed]
        if self.says.texts:
            texts = [{"type": "text_delta", "text": text} for text in self.says.texts]
            yield {"type": "text", "text": ""}, texts
        for call in self.says.calls:
            block = {"type": "tool_use", "id": call.call_id, "name": call.name, "input": {}}
            pieces = ("", *call.arguments)  # the first one is empty, as of the real one
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
            yield block, deltas
