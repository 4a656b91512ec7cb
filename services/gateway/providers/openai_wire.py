"""OpenAI's protocol, as OpenAI, Groq, vLLM, SGLang and many more speak it.

Sources: https://platform.openai.com/docs/api-reference and the servers' own documentation.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from services.cluster.errors import BadRequest
from services.cluster.fim import family_named
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.provider_records import ProviderModel
from services.gateway.providers.images import media_type
from services.gateway.providers.wire import (
    Wire,
    WireAnswer,
    WireRequest,
    broken_off,
    num_tokens,
    refuse_given,
    told,
    unreadable,
)

_FINISH = {
    "stop": pb.FINISH_REASON_STOP,
    "length": pb.FINISH_REASON_LENGTH,
    "model_length": pb.FINISH_REASON_LENGTH,
    "tool_calls": pb.FINISH_REASON_TOOL_CALLS,
    "function_call": pb.FINISH_REASON_TOOL_CALLS,
}
_TOOL_CHOICES = {
    pb.TOOL_CHOICE_AUTO: "auto",
    pb.TOOL_CHOICE_NONE: "none",
    pb.TOOL_CHOICE_REQUIRED: "required",
}
# Where nothing here can count tokens: fewer than code has, so that an answer has room.
_CHARS_A_TOKEN = 2
_MAX_STOPS = 4  # OpenAI's, and vLLM's since it checks
# Of vLLM and SGLang, beside what OpenAI has.
_ENGINE_PARAMETERS = ("top_k", "min_p", "repetition_penalty", "min_tokens", "stop_token_ids")
_PARAMETERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")


class OpenAIWire(Wire):
    """`whose` names the server to people. `max_tokens_field`: new models of OpenAI know one only.

    `is_engine`: an inference engine, which has sampling parameters and prompts that OpenAI has not.
    """

    # What it lacks, and roles whose messages may say the name of who speaks.
    absent: frozenset[str] = frozenset()
    named_roles = frozenset({"system", "user", "assistant"})
    max_temperature = 2.0
    required_word = "required"
    seed_field = "seed"
    fim_path = "/completions"
    asks_for_usage = True
    takes_effort = True

    def __init__(
        self, whose: str, *, max_tokens_field: str = "max_tokens", is_engine: bool = False
    ) -> None:
        self._whose = whose
        self._max_tokens_field = max_tokens_field
        self._is_engine = is_engine

    def headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def generation(self, model: ProviderModel, request: pb.GenerateRequest) -> WireRequest:
        prompt, sampling = request.prompt, request.sampling
        body: dict[str, Any] = {"model": model.name, "stream": True}
        if self.asks_for_usage:
            body["stream_options"] = {"include_usage": True}
        body |= self._sampling(sampling)
        is_chat = prompt.HasField("chat")
        if (wanted := _max_tokens(sampling, model)) is not None:
            body[self._max_tokens_field if is_chat else "max_tokens"] = wanted
        ends: Sequence[str] = ()
        if is_chat:
            path = "/chat/completions"
            body |= self._chat(prompt.chat)
            if sampling.HasField("num_logprobs"):
                body |= {"logprobs": True, "top_logprobs": sampling.num_logprobs}
            if sampling.HasField("structured"):
                body["response_format"] = self._format(sampling.structured)
        else:
            path, parts, ends = self._text(model, prompt)
            body |= parts
            if ends:
                # Written out, because a stop string is looked for in the text.
                body |= {"skip_special_tokens": False} if self._is_engine else {}
                body["stop"] = [*body.get("stop", []), *ends][: max(_MAX_STOPS, len(sampling.stop))]
            if sampling.HasField("num_logprobs"):
                body["logprobs"] = sampling.num_logprobs
        return WireRequest(path, body, ends)

    def answer(self) -> WireAnswer:
        return OpenAIAnswer()

    def embedding(self, model: ProviderModel, request: pb.EmbedRequest) -> WireRequest:
        if not model.embedding_size:
            raise BadRequest(f"{model.name} makes no embeddings.", param="model")
        ids = [list(given.ids) for given in request.token_ids]
        return WireRequest(
            "/embeddings", {"model": model.name, "input": list(request.texts) or ids}
        )

    def embeddings(self, value: Any) -> pb.EmbedResponse:
        try:
            entries = sorted(value["data"], key=lambda entry: entry["index"])
            usage = value.get("usage") or {}
            return pb.EmbedResponse(
                embeddings=[pb.Embedding(values=entry["embedding"]) for entry in entries],
                num_prompt_tokens=num_tokens(usage.get("prompt_tokens")),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise unreadable() from None

    def models(self, value: Any) -> list[ProviderModel]:
        """vLLM tells `max_model_len`, Groq `context_window`."""
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise unreadable()
        entries = [e for e in value["data"] if isinstance(e, dict) and isinstance(e.get("id"), str)]
        try:
            return list({entry["id"]: self._model(entry) for entry in entries}.values())
        except (AttributeError, ValueError):
            raise unreadable() from None

    def _model(self, entry: dict[str, Any]) -> ProviderModel:
        limits = (entry.get("max_model_len"), entry.get("context_window"))
        context = next((found for limit in limits if (found := num_tokens(limit))), 0)
        return ProviderModel(
            name=entry["id"], context_tokens=context, supports_completion=self._is_engine
        )

    def _sampling(self, sampling: pb.SamplingParameters) -> dict[str, Any]:
        more = _ENGINE_PARAMETERS if self._is_engine else ()
        absent = {*_ENGINE_PARAMETERS, "prompt_logprobs", *self.absent} - {*more}
        refuse_given(sampling, absent, self._whose)
        names = [*_PARAMETERS, *more]
        body: dict[str, Any] = {}
        for field, value in sampling.ListFields():
            if field.name in names:
                body[field.name] = list(value) if field.is_repeated else value
        if "temperature" in body:
            body["temperature"] = min(body["temperature"], self.max_temperature)
        if sampling.HasField("seed"):
            body[self.seed_field] = self._seed(sampling.seed)
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.logit_bias:
            body["logit_bias"] = {str(key): bias for key, bias in sampling.logit_bias.items()}
        return body

    def _seed(self, seed: int) -> int:
        return seed

    def _call_id(self, given: str) -> str:
        return given

    def _chat(self, chat: pb.Chat) -> dict[str, Any]:
        body: dict[str, Any] = {"messages": [self._message(m) for m in chat.messages]}
        if chat.tools_json:
            body["tools"] = json.loads(chat.tools_json)
        if chat.tool_name:
            body["tool_choice"] = {"type": "function", "function": {"name": chat.tool_name}}
        elif chat.tool_choice and chat.tools_json:
            word = _TOOL_CHOICES[chat.tool_choice]
            body["tool_choice"] = self.required_word if word == "required" else word
        if chat.tools_json and chat.HasField("parallel_tool_calls"):
            body["parallel_tool_calls"] = chat.parallel_tool_calls
        if chat.chat_template_kwargs_json:
            options = json.loads(chat.chat_template_kwargs_json)
            if self._is_engine:
                body["chat_template_kwargs"] = options
            elif self.takes_effort and (effort := options.get("reasoning_effort")):
                body["reasoning_effort"] = effort
        return body

    def _message(self, message: pb.ChatMessage) -> dict[str, Any]:
        found: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.parts:
            found["content"] = [_part(part) for part in message.parts if _says(part)]
        if message.tool_calls:
            found["content"] = found["content"] or None
            found["tool_calls"] = [
                {
                    "id": self._call_id(call.id),
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in message.tool_calls
            ]
        if message.tool_call_id:
            found["tool_call_id"] = self._call_id(message.tool_call_id)
        if message.name and message.role in self.named_roles:
            found["name"] = message.name
        if message.reasoning and self._is_engine:
            found["reasoning_content"] = message.reasoning
        return found

    def _format(self, structured: pb.StructuredOutput) -> dict[str, Any]:
        if structured.HasField("json_object"):
            return {"type": "json_object"}
        if not structured.HasField("json_schema"):
            raise BadRequest(f"{self._whose} holds answers to JSON schemas only.")
        schema = {"name": "answer", "schema": json.loads(structured.json_schema)}
        return {"type": "json_schema", "json_schema": schema}

    def _text(
        self, model: ProviderModel, prompt: pb.Prompt
    ) -> tuple[str, dict[str, Any], Sequence[str]]:
        """Where to, what is continued, and tokens that end it beside the client's stop strings."""
        if prompt.HasField("fill_in_the_middle"):
            return self._cursor(model, prompt.fill_in_the_middle)
        if not model.supports_completion:
            raise BadRequest(f"{model.name} answers chats only.", param="model")
        if prompt.HasField("tokens"):
            return "/completions", {"prompt": list(prompt.tokens.ids)}, ()
        return "/completions", {"prompt": prompt.text}, ()

    def _cursor(
        self, model: ProviderModel, cursor: pb.FillInTheMiddle
    ) -> tuple[str, dict[str, Any], Sequence[str]]:
        cursor = _near(cursor, model.context_tokens * _CHARS_A_TOKEN)
        if model.supports_fill_in_the_middle:
            return self.fim_path, {"prompt": cursor.prefix, "suffix": cursor.suffix}, ()
        family = family_named(model.fim_family)
        if family is None:
            raise BadRequest(
                f"{model.name} fills nothing in: send a prompt without suffix.", param="suffix"
            )
        parts = {"{prefix}": cursor.prefix, "{suffix}": cursor.suffix}
        text = "".join(parts.get(part, part) for part in family.order)
        return "/completions", {"prompt": text}, (*family.stops, *family.tokens)


def _max_tokens(sampling: pb.SamplingParameters, model: ProviderModel) -> int | None:
    wanted = sampling.max_tokens if sampling.HasField("max_tokens") else None
    if model.max_output_tokens:
        return min(wanted or model.max_output_tokens, model.max_output_tokens)
    return wanted


def _near(cursor: pb.FillInTheMiddle, num_chars: int) -> pb.FillInTheMiddle:
    """What is far from the cursor is left out, a quarter at least being the suffix's."""
    num_after = max(num_chars // 4, num_chars - len(cursor.prefix))
    suffix = cursor.suffix[:num_after]
    num_before = num_chars - len(suffix)
    return pb.FillInTheMiddle(prefix=cursor.prefix[-num_before:], suffix=suffix)


def _says(part: pb.ContentPart) -> bool:
    return part.HasField("image") or bool(part.text)


def _part(part: pb.ContentPart) -> dict[str, Any]:
    if part.HasField("text"):
        return {"type": "text", "text": part.text}
    data = base64.b64encode(part.image).decode()
    url = f"data:{media_type(part.image)};base64,{data}"
    return {"type": "image_url", "image_url": {"url": url}}


class OpenAIAnswer(WireAnswer):
    """Chunks of chats and of completions. The usage comes in the last one or after it."""

    def __init__(self) -> None:
        self._reason = ""
        self._usage: dict[str, Any] = {}
        self._calls: dict[tuple[int, str], int] = {}
        self._open_calls: dict[int, int] = {}

    @property
    def is_said(self) -> bool:
        return bool(self._reason)

    def read(self, event: dict[str, Any]) -> Iterable[pb.GenerateResponse]:
        if error := event.get("error"):
            raise told(error)
        try:
            self._usage = dict(event.get("usage") or self._usage)
            for choice in event.get("choices") or []:
                self._reason = str(choice.get("finish_reason") or self._reason)
                message = _message_of(choice)
                message.tool_calls.extend(self._tool_calls(choice.get("delta") or {}))
                if message.ListFields():
                    yield message
        except (AttributeError, KeyError, TypeError, ValueError):
            raise unreadable() from None

    def end(self) -> pb.GenerateResponse:
        if not self._reason:
            raise broken_off()
        details = self._usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else 0
        return pb.GenerateResponse(
            finish=pb.Finish(
                reason=_FINISH.get(self._reason, pb.FINISH_REASON_STOP),
                num_prompt_tokens=num_tokens(self._usage.get("prompt_tokens")),
                num_generated_tokens=num_tokens(self._usage.get("completion_tokens")),
                num_cached_tokens=num_tokens(cached),
            )
        )

    def _tool_calls(self, delta: dict[str, Any]) -> Iterator[pb.ToolCallDelta]:
        for call in delta.get("tool_calls") or []:
            function = call.get("function") or {}
            given = function.get("arguments") or ""
            yield pb.ToolCallDelta(
                index=self._index(call),
                id=call.get("id") or "",
                name=function.get("name") or "",
                arguments=given if isinstance(given, str) else json.dumps(given),
            )

    def _index(self, call: dict[str, Any]) -> int:
        """Some servers give every call the index 0 and an id of its own."""
        given, name = call.get("index") or 0, call.get("id") or ""
        if name:
            self._open_calls[given] = self._calls.setdefault((given, name), len(self._calls))
        return self._open_calls.get(given, given)


def _message_of(choice: dict[str, Any]) -> pb.GenerateResponse:
    delta = choice.get("delta") or {}
    said = delta.get("content") or delta.get("refusal") or choice.get("text") or ""
    text, thought = _text_and_thought(said)
    return pb.GenerateResponse(
        text=text,
        reasoning=thought or delta.get("reasoning_content") or delta.get("reasoning") or "",
        logprobs=_positions(choice.get("logprobs") or {}),
    )


def _text_and_thought(content: Any) -> tuple[str, str]:
    """Mistral's models that reason send a list of parts."""
    if isinstance(content, str):
        return content, ""
    texts = {"text": "", "thinking": ""}
    for part in content:
        for kind, said in texts.items():
            inner = part.get(kind, "") if part.get("type") == kind else ""
            whole = inner if isinstance(inner, str) else "".join(p.get("text", "") for p in inner)
            texts[kind] = said + whole
    return texts["text"], texts["thinking"]


def _positions(logprobs: dict[str, Any]) -> Iterator[pb.PositionLogprobs]:
    """Of a chat as a list of entries, of a completion as lists side by side."""
    for entry in logprobs.get("content") or []:
        top = [_token(each["token"], each["logprob"]) for each in entry.get("top_logprobs") or []]
        yield pb.PositionLogprobs(chosen=_token(entry["token"], entry["logprob"]), top=top)
    tokens = logprobs.get("tokens") or []
    tops = logprobs.get("top_logprobs") or [None] * len(tokens)
    for token, logprob, top in zip(tokens, logprobs.get("token_logprobs") or [], tops, strict=True):
        found = [_token(text, value) for text, value in (top or {}).items()]
        yield pb.PositionLogprobs(chosen=_token(token, logprob), top=found)


def _token(text: str, logprob: float | None) -> pb.TokenLogprob:
    return pb.TokenLogprob(text=text, logprob=logprob)
