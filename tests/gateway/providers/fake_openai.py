"""OpenAI's API and those like it: Groq, Mistral, vLLM. Each takes what the real one takes.

The answers are held to the types of the `openai` package. Sources: that package,
https://console.groq.com/docs/openai, https://docs.mistral.ai/api, vLLM's protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, get_type_hints

from openai.types import Completion, CreateEmbeddingResponse, EmbeddingCreateParams
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from openai.types.completion_create_params import (
    CompletionCreateParamsStreaming as TextParamsStreaming,
)

from tests.gateway.providers.fake_server import FakeProvider, Headers, Refused, sse

_USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 5,
    "total_tokens": 16,
    "prompt_tokens_details": {"cached_tokens": 3},
}
_MESSAGE_FIELDS = {
    "system": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "tool_calls", "refusal", "audio", "function_call"},
    "tool": {"role", "content", "tool_call_id"},
}
_LOGPROBS = {
    "content": [
        {
            "token": "Hello",
            "logprob": -0.5,
            "bytes": [72],
            "top_logprobs": [{"token": "Hello", "logprob": -0.5, "bytes": None}],
        }
    ],
    "refusal": None,
}


class FakeOpenAI(FakeProvider):
    fields: ClassVar[dict[str, set[str]]] = {
        "/chat/completions": set(get_type_hints(CompletionCreateParamsStreaming)) - {"max_tokens"},
        "/completions": set(get_type_hints(TextParamsStreaming)),
        "/embeddings": set(get_type_hints(EmbeddingCreateParams)),
    }
    message_fields: ClassVar[dict[str, set[str]]] = _MESSAGE_FIELDS
    max_stops: ClassVar[int] = 4
    refusal_status: ClassVar[int] = 400
    wants_usage_asked: ClassVar[bool] = True
    ends_with_done: ClassVar[bool] = True

    def check_key(self, headers: Headers) -> None:
        given = headers.get("authorization", "").removeprefix("Bearer ")
        if given != self.key:
            # As OpenAI says it, with the ends of what it got.
            raise Refused(401, f"Incorrect API key provided: {given[:8]}{'*' * 9}{given[-4:]}.")

    def problem(self, refused: Refused) -> dict[str, Any]:
        kind = "invalid_request_error"
        return {"error": {"message": refused.message, "type": kind, "param": None, "code": None}}

    def answer(self, path: str, body: Any) -> dict[str, Any] | list[bytes]:
        if path == "/models":
            return {"object": "list", "data": self.models()}
        if path not in self.fields:
            raise Refused(404, f"Unknown request URL: POST /v1{path}.")
        if unknown := sorted(set(body) - self.fields[path]):
            raise Refused(self.refusal_status, f"Unrecognized request argument: {unknown[0]}")
        if path == "/embeddings":
            return self.embeddings(body)
        self.check(path, body)
        chunks = self.texts(body) if path == "/completions" else self.chunks(body)
        end = [b"data: [DONE]\n\n"] if self.ends_with_done else []
        return [*map(sse, chunks), *end]

    def check(self, path: str, body: dict[str, Any]) -> None:
        stops = body.get("stop", [])
        if len(stops) > self.max_stops:
            raise Refused(self.refusal_status, "Invalid 'stop': array too long.")
        if "parallel_tool_calls" in body and "tools" not in body:
            raise Refused(400, "'parallel_tool_calls' is only allowed when 'tools' are specified.")
        if path != "/chat/completions":
            return
        open_calls: set[str] = set()
        for message in body["messages"]:
            if unknown := set(message) - self.message_fields[message["role"]]:
                raise Refused(self.refusal_status, f"Unknown parameter: messages[].{min(unknown)}")
            if message["role"] == "tool":
                if message["tool_call_id"] not in open_calls:
                    raise Refused(400, "messages with role 'tool' must answer 'tool_calls'.")
                open_calls.remove(message["tool_call_id"])
            elif open_calls:
                raise Refused(400, "an assistant message with 'tool_calls' must be answered.")
            open_calls |= {call["id"] for call in message.get("tool_calls") or []}

    def models(self) -> list[dict[str, Any]]:
        return [{"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "openai"}]

    def embeddings(self, body: dict[str, Any]) -> dict[str, Any]:
        entries = [
            {"object": "embedding", "index": i, "embedding": [float(i), 0.5]}
            for i in reversed(range(len(body["input"])))  # the order is not promised
        ]
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        answer = {"object": "list", "model": body["model"], "data": entries, "usage": usage}
        CreateEmbeddingResponse.model_validate(answer, strict=True)
        return answer

    def _usage_wanted(self, body: dict[str, Any]) -> bool:
        asked = (body.get("stream_options") or {}).get("include_usage")
        return self.says.has_usage and (asked or not self.wants_usage_asked)

    def chunks(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """As the real one: the role first, the reason in a chunk of its own, the usage after it."""
        head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}

        def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
            choice = {"index": 0, "delta": delta, "finish_reason": reason, **more}
            value = {**head, "choices": [choice]}
            if reason != "model_length":  # Mistral's own
                ChatCompletionChunk.model_validate(value)
            return value

        yield chunk({"role": "assistant", "content": ""})
        for thought in self.says.thoughts:
            yield chunk({"reasoning": thought})
        for text in self.says.texts:
            yield chunk({"content": text}, logprobs=_LOGPROBS if body.get("logprobs") else None)
        for index, call in enumerate(self.says.calls):
            function = {"name": call.name, "arguments": ""}
            first = {"index": index, "id": call.call_id, "type": "function", "function": function}
            yield chunk({"tool_calls": [first]})
            for piece in call.arguments:
                yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        yield chunk({}, self.says.reason or ("tool_calls" if self.says.calls else "stop"))
        if self._usage_wanted(body):
            yield {**head, "choices": [], "usage": _USAGE}

    def texts(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        head = {"id": "t1", "object": "text_completion", "created": 1, "model": body["model"]}
        for text in self.says.texts:
            logprobs = None
            if body.get("logprobs") is not None:
                logprobs = {
                    "tokens": [text],
                    "token_logprobs": [-0.25],
                    "top_logprobs": [{text: -0.25}],
                    "text_offset": [0],
                }
            choice = {"index": 0, "text": text, "logprobs": logprobs, "finish_reason": None}
            yield {**head, "choices": [choice]}
        reason = self.says.reason or "stop"
        last = {"index": 0, "text": "", "logprobs": None, "finish_reason": reason}
        Completion.model_validate({**head, "choices": [last]})
        yield {**head, "choices": [last]}
        if self._usage_wanted(body):
            yield {**head, "choices": [], "usage": _USAGE}


class FakeGroq(FakeOpenAI):
    fields: ClassVar[dict[str, set[str]]] = {
        "/chat/completions": set(get_type_hints(CompletionCreateParamsStreaming))
        - {"logprobs", "top_logprobs", "logit_bias"},
    }
    message_fields: ClassVar[dict[str, set[str]]] = {
        role: names - {"name"} for role, names in _MESSAGE_FIELDS.items()
    }

    def models(self) -> list[dict[str, Any]]:
        head = {"object": "model", "created": 1, "owned_by": "Meta", "active": True}
        return [{"id": "llama-3.3-70b-versatile", **head, "context_window": 131072}]


class FakeVllm(FakeOpenAI):
    """Takes no key where it was started without one."""

    _ENGINE: ClassVar[set[str]] = {
        *("top_k", "min_p", "repetition_penalty", "min_tokens", "stop_token_ids", "max_tokens"),
        *("chat_template_kwargs", "structured_outputs", "response_format", "ignore_eos"),
        "skip_special_tokens",
    }
    fields: ClassVar[dict[str, set[str]]] = {
        "/chat/completions": FakeOpenAI.fields["/chat/completions"] | _ENGINE,
        "/completions": FakeOpenAI.fields["/completions"] | _ENGINE,
        "/embeddings": FakeOpenAI.fields["/embeddings"],
    }
    message_fields: ClassVar[dict[str, set[str]]] = {
        **_MESSAGE_FIELDS,
        "assistant": _MESSAGE_FIELDS["assistant"] | {"reasoning_content", "reasoning"},
        "tool": _MESSAGE_FIELDS["tool"] | {"name"},
    }

    def check_key(self, headers: Headers) -> None:
        if self.key:
            super().check_key(headers)
        elif "authorization" in headers:
            raise Refused(400, "This test's server wants no key.")

    def models(self) -> list[dict[str, Any]]:
        head = {"object": "model", "created": 1, "owned_by": "vllm", "root": "qwen"}
        return [{"id": "org/coder:7b", **head, "max_model_len": 32768}]

    def problem(self, refused: Refused) -> dict[str, Any]:
        return {"error": {"message": refused.message, "type": "BadRequestError", "code": 400}}


_MISTRAL = {
    *("model", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed", "metadata"),
}


class FakeMistral(FakeOpenAI):
    """Refuses every field that it does not know (422), and sends usage unasked."""

    fields: ClassVar[dict[str, set[str]]] = {
        "/chat/completions": _MISTRAL
        | {
            *("messages", "response_format", "tools", "tool_choice", "presence_penalty"),
            *("frequency_penalty", "n", "prediction", "parallel_tool_calls", "prompt_mode"),
            *("safe_prompt", "guardrails"),
        },
        "/fim/completions": _MISTRAL | {"prompt", "suffix", "min_tokens"},
        "/embeddings": {"model", "input", "metadata", "output_dimension", "output_dtype"},
    }
    message_fields: ClassVar[dict[str, set[str]]] = {
        "system": {"role", "content"},
        "user": {"role", "content"},
        "assistant": {"role", "content", "tool_calls", "prefix"},
        "tool": {"role", "content", "tool_call_id", "name"},
    }
    max_stops: ClassVar[int] = 64
    refusal_status: ClassVar[int] = 422
    wants_usage_asked: ClassVar[bool] = False

    def problem(self, refused: Refused) -> dict[str, Any]:
        if refused.status == 422:
            place = {"type": "extra_forbidden", "loc": ["body"], "msg": refused.message}
            return {"object": "error", "message": {"detail": [place]}, "type": "invalid_request"}
        return {"object": "error", "message": refused.message, "type": "x", "code": "3280"}

    def check(self, path: str, body: dict[str, Any]) -> None:
        if not 0 <= body.get("temperature", 0) <= 1.5:
            raise Refused(422, "Input should be less than or equal to 1.5")
        if body.get("random_seed", 0) < 0:
            raise Refused(422, "Input should be greater than or equal to 0")
        super().check(path, {k: v for k, v in body.items() if k != "parallel_tool_calls"})
        for message in body.get("messages", []):
            calls = [call["id"] for call in message.get("tool_calls") or []]
            for call in [*calls, *([message["tool_call_id"]] if message["role"] == "tool" else [])]:
                if not re.fullmatch("[a-zA-Z0-9]{9}", call):
                    raise Refused(
                        400,
                        f"Tool call id was {call} but must be a-z, A-Z, 0-9, with a length of 9.",
                    )

    def models(self) -> list[dict[str, Any]]:
        def model(name: str, **capabilities: bool) -> dict[str, Any]:
            head = {"object": "model", "created": 1, "owned_by": "mistralai", "aliases": []}
            return {"id": name, **head, "max_context_length": 262144, "capabilities": capabilities}

        coder = model(
            "codestral-latest",
            completion_chat=True,
            completion_fim=True,
            function_calling=True,
            vision=False,
        )
        other = model("mistral-embed", completion_chat=False, completion_fim=False)
        return [coder, other, coder]  # an alias comes as often as it is one
