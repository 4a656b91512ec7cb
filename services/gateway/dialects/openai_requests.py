"""OpenAI's requests, as far as they mean something here. Null is absent, unknown is ignored."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb

_MAX_STOPS = 64
_MAX_PROMPTS = 64
_MAX_INPUTS = 2048  # OpenAI's
_MAX_COUNT = 2**31 - 1

TokenIdList = Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1)]


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")
    include_usage: bool = False


class GenerationFields(BaseModel):
    """What completions and chat have in common."""

    model_config = ConfigDict(extra="ignore", strict=False)

    model: str | None = None
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    max_tokens: int | None = Field(None, ge=0, le=_MAX_COUNT)
    max_completion_tokens: int | None = Field(None, ge=0, le=_MAX_COUNT)
    n: int = Field(1, ge=1, le=8)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=_MAX_COUNT)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: list[str] = []
    presence_penalty: float = Field(0, ge=-2, le=2)
    frequency_penalty: float = Field(0, ge=-2, le=2)
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] = {}

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("stop")
    @classmethod
    def _useful_stops(cls, value: list[str]) -> list[str]:
        if len(value) > _MAX_STOPS:
            raise ValueError(f"at most {_MAX_STOPS} stop strings")
        return [stop for stop in value if stop]

    @field_validator("logit_bias")
    @classmethod
    def _token_ids(cls, value: dict[str, float]) -> dict[str, float]:
        if not all(key.isdecimal() and int(key) < 2**32 for key in value):
            raise ValueError("keys must be token ids")
        return value

    @property
    def num_new_tokens(self) -> int | None:
        return self.max_completion_tokens if self.max_tokens is None else self.max_tokens

    def sampling(self, default_max_tokens: int | None) -> pb.SamplingParameters:
        """For one of the `n` answers; the caller sets the logprobs."""
        parameters = pb.SamplingParameters(
            stop=self.stop,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            logit_bias={int(key): bias for key, bias in self.logit_bias.items()},
        )
        num_new_tokens = self.num_new_tokens
        if num_new_tokens is None:
            num_new_tokens = default_max_tokens
        if num_new_tokens is not None:
            parameters.max_tokens = max(1, num_new_tokens)
        if self.temperature is not None:
            parameters.temperature = self.temperature
        if self.top_p is not None:
            parameters.top_p = self.top_p
        if self.top_k is not None and self.top_k > 0:
            parameters.top_k = self.top_k
        if self.seed is not None:
            parameters.seed = self.seed
        return parameters


class CompletionRequest(GenerationFields):
    prompt: str | TokenIdList | list[str] | list[TokenIdList]
    suffix: str | None = None
    echo: bool = False
    logprobs: int | None = Field(None, ge=0, le=20)
    best_of: int | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.best_of is not None and self.best_of > 1:
            raise ValueError("best_of above 1 is not offered; use n for several answers")
        if isinstance(self.prompt, list) and not 0 < self.num_prompts <= _MAX_PROMPTS:
            raise ValueError(f"prompt must hold 1 to {_MAX_PROMPTS} prompts")
        if self.suffix is not None and (self.echo or not isinstance(self.prompt, str)):
            raise ValueError("suffix goes with one prompt of text and without echo")
        if self.num_new_tokens == 0 and not self.echo:
            raise ValueError("max_tokens 0 makes sense with echo only")
        return self

    @property
    def num_prompts(self) -> int:
        return len(self.prompts())

    def prompts(self) -> list[pb.Prompt]:
        """One for each prompt of the request."""
        if isinstance(self.prompt, str):
            if self.suffix is not None:
                parts = pb.FillInTheMiddle(prefix=self.prompt, suffix=self.suffix)
                return [pb.Prompt(fill_in_the_middle=parts)]
            return [pb.Prompt(text=self.prompt)]
        prompts: list[Any] = self.prompt
        if prompts and isinstance(prompts[0], int):
            prompts = [prompts]
        return [
            pb.Prompt(text=prompt)
            if isinstance(prompt, str)
            else pb.Prompt(tokens=pb.TokenIds(ids=prompt))
            for prompt in prompts
        ]


class EmbeddingRequest(BaseModel):
    """`input`: a text, or the ids of its tokens; or several of one kind."""

    model_config = ConfigDict(extra="ignore")

    model: str | None = None
    input: str | TokenIdList | list[str] | list[TokenIdList]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not 0 < len(self.inputs()) <= _MAX_INPUTS:
            raise ValueError(f"input must hold 1 to {_MAX_INPUTS} texts")
        return self

    @property
    def is_packed(self) -> bool:
        return self.encoding_format == "base64"

    def inputs(self) -> list[str | list[int]]:
        if isinstance(self.input, str):
            return [self.input]
        given: list[Any] = self.input
        return [given] if given and isinstance(given[0], int) else given


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class FunctionCall(BaseModel):
    name: str = ""
    arguments: str = ""


class AssistantToolCall(BaseModel):
    id: str = ""
    function: FunctionCall = FunctionCall()


class Message(BaseModel):
    """`content` may be a list of parts; parts other than text cannot be read by these models."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[TextPart] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[AssistantToolCall] | None = None

    def to_proto(self) -> pb.ChatMessage:
        content = self.content or ""
        if isinstance(content, list):
            content = "".join(part.text for part in content)
        role = {"developer": "system", "function": "tool"}.get(self.role, self.role)
        return pb.ChatMessage(
            role=role,
            content=content,
            name=self.name or "",
            tool_call_id=self.tool_call_id or "",
            tool_calls=[
                pb.ToolCall(id=c.id, name=c.function.name, arguments=c.function.arguments)
                for c in self.tool_calls or []
            ],
        )


class ChatRequest(GenerationFields):
    messages: list[Message] = Field(min_length=1)
    tools: list[dict[str, Any]] = []
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=20)

    def to_prompt(self) -> pb.Prompt:
        chat = pb.Chat(
            messages=[message.to_proto() for message in self.messages],
            tools_json=json.dumps(self.tools) if self.tools else "",
        )
        return pb.Prompt(chat=chat)

    @property
    def num_logprobs(self) -> int | None:
        if self.top_logprobs is not None and not self.logprobs:
            raise BadRequest("top_logprobs needs logprobs: true.", param="top_logprobs")
        return (self.top_logprobs or 0) if self.logprobs else None
