"""Anthropic's protocol. Source: https://docs.claude.com/en/api/messages."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.provider_records import ProviderModel
from services.gateway.providers.images import media_type
from services.gateway.providers.wire import (
    Wire,
    WireAnswer,
    WireRequest,
    broken_off,
    call_id,
    num_tokens,
    refuse_given,
    told,
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
    *("prompt_logprobs", "min_p", "repetition_penalty", "min_tokens", "stop_token_ids"),
)
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_CALL_ID = re.compile("[a-zA-Z0-9_-]{1,64}")


class AnthropicWire(Wire):
    """Temperature, top_p and top_k are left out: models since Claude 4.7 refuse them, at any value,
    and most clients send one.
    """

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
        if stops := [stop for stop in sampling.stop if stop.strip()]:
            body["stop_sequences"] = stops
        body |= _tools(chat)
        if config := _output(chat, sampling):
            body["output_config"] = config
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
                context_tokens=num_tokens(entry.get("max_input_tokens")),
                max_output_tokens=num_tokens(entry.get("max_tokens")),
                supports_images=True,
            )
            for entry in entries
        ]


def _max_tokens(sampling: pb.SamplingParameters, model: ProviderModel) -> int:
    most = model.max_output_tokens or _DEFAULT_MAX_TOKENS
    if not sampling.HasField("max_tokens"):
        return most
    return min(sampling.max_tokens, most) if model.max_output_tokens else sampling.max_tokens


def _output(chat: pb.Chat, sampling: pb.SamplingParameters) -> dict[str, Any]:
    """How long is thought and what form the answer has. Raises BadRequest for another form."""
    found: dict[str, Any] = {}
    options = json.loads(chat.chat_template_kwargs_json or "{}")
    if options.get("reasoning_effort") in _EFFORTS:
        found["effort"] = options["reasoning_effort"]
    if sampling.structured.HasField("json_schema"):
        schema = json.loads(sampling.structured.json_schema)
        found["format"] = {"type": "json_schema", "schema": schema}
    elif sampling.HasField("structured"):
        raise BadRequest(
            "Anthropic holds answers to JSON schemas only: give one.", param="response_format"
        )
    return found


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
        answered = call_id(message.tool_call_id, _CALL_ID)
        content = list(_content(message))
        yield {"type": "tool_result", "tool_use_id": answered, "content": content}
        return
    yield from _content(message)
    for call in message.tool_calls:
        called = call_id(call.id, _CALL_ID)
        yield {"type": "tool_use", "id": called, "name": call.name, "input": _input(call)}


def _content(message: pb.ChatMessage) -> Iterator[dict[str, Any]]:
    """Texts and images. A text of nothing but spaces is refused by them."""
    if message.content.strip():
        yield {"type": "text", "text": message.content}
    for part in message.parts:
        if part.HasField("image"):
            source = {
                "type": "base64",
                "media_type": media_type(part.image),
                "data": base64.b64encode(part.image).decode(),
            }
            yield {"type": "image", "source": source}
        elif part.text.strip():
            yield {"type": "text", "text": part.text}


def _input(call: pb.ToolCall) -> Any:
    try:
        value = json.loads(call.arguments or "{}")
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadRequest(
            f"The arguments of the call {call.id} are not JSON: {error}.", param="messages"
        ) from None
    if not isinstance(value, dict):
        raise BadRequest(
            f"The arguments of the call {call.id} are no JSON object.", param="messages"
        )
    return value


def _texts(message: pb.ChatMessage) -> list[str]:
    found = [message.content, *(part.text for part in message.parts)]
    return [text for text in found if text.strip()]


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
        self._without_arguments: set[int] = set()
        self._is_over = False

    @property
    def is_over(self) -> bool:
        return self._is_over

    @property
    def is_said(self) -> bool:
        return bool(self._reason)

    def read(self, event: dict[str, Any]) -> Iterable[pb.GenerateResponse]:
        try:
            yield from self._read(event)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise unreadable() from None

    def _read(self, event: dict[str, Any]) -> Iterator[pb.GenerateResponse]:
        match event.get("type"):
            case "message_start":
                self._count(event["message"].get("usage"))
                yield pb.GenerateResponse(num_prompt_tokens=self._num_prompt_tokens)
            case "content_block_start" if event["content_block"]["type"] == "tool_use":
                index = self._calls.setdefault(event["index"], len(self._calls))
                block = event["content_block"]
                self._without_arguments.add(event["index"])
                call = pb.ToolCallDelta(index=index, id=block["id"], name=block["name"])
                yield pb.GenerateResponse(tool_calls=[call])
            case "content_block_delta":
                yield from self._delta(event["index"], event["delta"])
            case "content_block_stop" if event["index"] in self._without_arguments:
                # Clients parse what they get: no JSON is none.
                self._without_arguments.remove(event["index"])
                call = pb.ToolCallDelta(index=self._calls[event["index"]], arguments="{}")
                yield pb.GenerateResponse(tool_calls=[call])
            case "message_delta":
                self._reason = str(event["delta"].get("stop_reason") or self._reason)
                self._count(event.get("usage"))
            case "message_stop":
                self._is_over = True
            case "error":
                raise told(event["error"])

    def _delta(self, block: int, delta: dict[str, Any]) -> Iterator[pb.GenerateResponse]:
        match delta.get("type"):
            case "text_delta":
                yield pb.GenerateResponse(text=delta["text"])
            case "thinking_delta":
                yield pb.GenerateResponse(reasoning=delta["thinking"])
            case "input_json_delta" if delta["partial_json"] and block in self._calls:
                self._without_arguments.discard(block)
                call = pb.ToolCallDelta(index=self._calls[block], arguments=delta["partial_json"])
                yield pb.GenerateResponse(tool_calls=[call])

    def end(self) -> pb.GenerateResponse:
        if not self._reason:
            raise broken_off()
        return pb.GenerateResponse(
            finish=pb.Finish(
                reason=_FINISH.get(self._reason, pb.FINISH_REASON_STOP),
                num_prompt_tokens=self._num_prompt_tokens,
                num_generated_tokens=num_tokens(self._usage.get("output_tokens")),
                num_cached_tokens=num_tokens(self._usage.get("cache_read_input_tokens")),
            )
        )

    def _count(self, usage: dict[str, Any] | None) -> None:
        """Later figures hold; what is null there has been said before."""
        self._usage |= {name: value for name, value in (usage or {}).items() if value is not None}

    @property
    def _num_prompt_tokens(self) -> int:
        names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        return sum(num_tokens(self._usage.get(name)) for name in names)
