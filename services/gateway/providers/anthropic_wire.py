"""Anthropic's protocol. Source: https://docs.claude.com/en/api/messages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from services.cluster.errors import BadRequest, EngineUnavailable
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.provider_records import ProviderModel
from services.gateway.providers.images import media_type
from services.gateway.providers.wire import (
    Wire,
    WireAnswer,
    WireRequest,
    broken_off,
    refuse_given,
    unreadable,
)

_VERSION = "2023-06-01"
# A request must say how long its answer may be.
_DEFAULT_MAX_TOKENS = 4096
_FINISH = {
    "max_tokens": pb.FINISH_REASON_LENGTH,
    "model_context_window_exceeded": pb.FINISH_REASON_LENGTH,
    "tool_use": pb.FINISH_REASON_TOOL_CALLS,
}
_TOOL_CHOICES = {
    pb.TOOL_CHOICE_AUTO: "auto",
    pb.TOOL_CHOICE_NONE: "none",
    pb.TOOL_CHOICE_REQUIRED: "any",
}
_ABSENT = (
    *("seed", "presence_penalty", "frequency_penalty", "logit_bias", "num_logprobs"),
    *("prompt_logprobs", "structured", "min_p", "repetition_penalty", "min_tokens"),
    "stop_token_ids",
)


class AnthropicWire(Wire):
    models_path = "/models?limit=1000"

    def headers(self, key: str) -> dict[str, str]:
        return {"anthropic-version": _VERSION, **({"x-api-key": key} if key else {})}

    def generation(self, model: ProviderModel, request: pb.GenerateRequest) -> WireRequest:
        if not request.prompt.HasField("chat"):
            raise BadRequest(f"{model.name} answers chats only.", param="model")
        chat, sampling = request.prompt.chat, request.sampling
        refuse_given(sampling, _ABSENT, "Anthropic")
        body: dict[str, Any] = {
            "model": model.name,
            "stream": True,
            "max_tokens": _max_tokens(sampling, model),
            "messages": _messages(chat.messages),
        }
        if system := [text for m in chat.messages if m.role == "system" for text in _texts(m)]:
            body["system"] = "\n\n".join(system)
        if sampling.HasField("temperature"):
            body["temperature"] = min(sampling.temperature, 1.0)  # theirs ends there
        if sampling.HasField("top_p"):
            body["top_p"] = sampling.top_p
        if sampling.top_k:
            body["top_k"] = sampling.top_k
        if stops := [stop for stop in sampling.stop if stop.strip()]:
            body["stop_sequences"] = stops
        body |= _tools(chat)
        return WireRequest("/messages", body)

    def answer(self) -> WireAnswer:
        return AnthropicAnswer()

    def embedding(self, model: ProviderModel, request: pb.EmbedRequest) -> WireRequest:
        raise BadRequest("Anthropic has no embeddings.", param="model")

    def embeddings(self, value: Any) -> pb.EmbedResponse:
        raise unreadable()

    def models(self, value: Any) -> list[ProviderModel]:
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise unreadable()
        entries = [e for e in value["data"] if isinstance(e, dict) and isinstance(e.get("id"), str)]
        return [
            ProviderModel(
                name=entry["id"],
                context_tokens=entry.get("max_input_tokens") or 0,
                max_output_tokens=entry.get("max_tokens") or 0,
                supports_images=True,
            )
            for entry in entries
        ]


def _max_tokens(sampling: pb.SamplingParameters, model: ProviderModel) -> int:
    most = model.max_output_tokens or _DEFAULT_MAX_TOKENS
    if not sampling.HasField("max_tokens"):
        return most
    return min(sampling.max_tokens, most) if model.max_output_tokens else sampling.max_tokens


def _messages(messages: Iterable[pb.ChatMessage]) -> list[dict[str, Any]]:
    """Turns of user and assistant; results of tools are the user's."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = list(_blocks(message))
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: pb.ChatMessage) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        texts = [{"type": "text", "text": text} for text in _texts(message)]
        yield {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": texts}
        return
    if message.content:
        yield {"type": "text", "text": message.content}
    for part in message.parts:
        if part.HasField("text"):
            yield {"type": "text", "text": part.text}
        else:
            source = {
                "type": "base64",
                "media_type": media_type(part.image),
                "data": base64.b64encode(part.image).decode(),
            }
            yield {"type": "image", "source": source}
    for call in message.tool_calls:
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call)}


def _input(call: pb.ToolCall) -> Any:
    try:
        return json.loads(call.arguments or "{}")
    except json.JSONDecodeError as error:
        raise BadRequest(
            f"The arguments of the call {call.id} are not JSON: {error}.", param="messages"
        ) from None


def _texts(message: pb.ChatMessage) -> list[str]:
    found = [message.content, *(part.text for part in message.parts)]
    return [text for text in found if text]


def _tools(chat: pb.Chat) -> dict[str, Any]:
    if not chat.tools_json:
        return {}
    functions = [tool.get("function") or {} for tool in json.loads(chat.tools_json)]
    tools = [
        {
            "name": function.get("name", ""),
            "description": function.get("description") or "",
            "input_schema": function.get("parameters") or {"type": "object"},
        }
        for function in functions
    ]
    choice: dict[str, Any] = {"type": _TOOL_CHOICES.get(chat.tool_choice, "auto")}
    if chat.tool_name:
        choice = {"type": "tool", "name": chat.tool_name}
    is_single = chat.HasField("parallel_tool_calls") and not chat.parallel_tool_calls
    if is_single and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return {"tools": tools, "tool_choice": choice}


class AnthropicAnswer(WireAnswer):
    """Events of a message: its blocks one after another, then how it ended."""

    def __init__(self) -> None:
        self._reason = ""
        self._usage: dict[str, Any] = {}
        self._calls: dict[int, int] = {}

    def read(self, event: dict[str, Any]) -> Iterable[pb.GenerateResponse]:
        try:
            yield from self._read(event)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise unreadable() from None

    def _read(self, event: dict[str, Any]) -> Iterator[pb.GenerateResponse]:
        match event.get("type"):
            case "message_start":
                self._usage |= event["message"].get("usage") or {}
            case "content_block_start" if event["content_block"]["type"] == "tool_use":
                index = self._calls.setdefault(event["index"], len(self._calls))
                block = event["content_block"]
                call = pb.ToolCallDelta(index=index, id=block["id"], name=block["name"])
                yield pb.GenerateResponse(tool_calls=[call])
            case "content_block_delta":
                yield from self._delta(event["index"], event["delta"])
            case "message_delta":
                self._reason = event["delta"].get("stop_reason") or self._reason
                self._usage |= event.get("usage") or {}
            case "error":
                said = str(event["error"].get("message", ""))[:500].rstrip(".")
                raise EngineUnavailable(f"The provider broke off: {said}.")

    def _delta(self, block: int, delta: dict[str, Any]) -> Iterator[pb.GenerateResponse]:
        match delta.get("type"):
            case "text_delta":
                yield pb.GenerateResponse(text=delta["text"])
            case "thinking_delta":
                yield pb.GenerateResponse(reasoning=delta["thinking"])
            case "input_json_delta" if delta["partial_json"]:
                call = pb.ToolCallDelta(index=self._calls[block], arguments=delta["partial_json"])
                yield pb.GenerateResponse(tool_calls=[call])

    def end(self) -> pb.GenerateResponse:
        if not self._reason:
            raise broken_off()
        names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        return pb.GenerateResponse(
            finish=pb.Finish(
                reason=_FINISH.get(self._reason, pb.FINISH_REASON_STOP),
                num_prompt_tokens=sum(self._usage.get(name) or 0 for name in names),
                num_generated_tokens=self._usage.get("output_tokens") or 0,
                num_cached_tokens=self._usage.get("cache_read_input_tokens") or 0,
            )
        )
