"""OpenAI's requests, as far as they mean something here. Null is absent, unknown is ignored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.dialects.openai_messages import Message

_MAX_STOPS = 64
_MAX_PROMPTS = 64
_MAX_INPUTS = 2048  # OpenAI's
MAX_COUNT = 2**31 - 1
TOOL_CHOICES = {
    "auto": pb.TOOL_CHOICE_AUTO,
    "none": pb.TOOL_CHOICE_NONE,
    "required": pb.TOOL_CHOICE_REQUIRED,
}

TokenIdList = Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1)]


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")
    include_usage: bool = False


class GenerationFields(BaseModel):
    """What completions and chat have in common."""

    model_config = ConfigDict(extra="ignore")

    model: str | None = None
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    max_tokens: int | None = Field(None, ge=0, le=MAX_COUNT)
    max_completion_tokens: int | None = Field(None, ge=0, le=MAX_COUNT)
    n: int = Field(1, ge=1, le=8)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=MAX_COUNT)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=2)
    min_tokens: int | None = Field(None, ge=0, le=MAX_COUNT)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: list[str] = []
    presence_penalty: float = Field(0, ge=-2, le=2)
    frequency_penalty: float = Field(0, ge=-2, le=2)
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] = {}

    @field_validator("stop", mode="before", json_schema_input_type=str | list[str])
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
        for name in ("seed", "min_p", "repetition_penalty", "min_tokens"):
            if (value := getattr(self, name)) is not None:
                setattr(parameters, name, value)
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


class NamedFunction(BaseModel):
    name: str = Field(min_length=1)


class NamedTool(BaseModel):
    type: Literal["function"]
    function: NamedFunction


class JsonSchema(BaseModel):
    """`name` and `strict` mean nothing here: the answer always holds to the schema."""

    json_schema: dict[str, Any] = Field(alias="schema")


class ResponseFormat(BaseModel):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema goes with type json_schema, as {schema: ...}")
        return self

    def structured(self) -> pb.StructuredOutput | None:
        """None: any text."""
        if self.json_schema is not None:
            return pb.StructuredOutput(json_schema=json.dumps(self.json_schema.json_schema))
        return pb.StructuredOutput(json_object=True) if self.type == "json_object" else None


class ChatRequest(GenerationFields):
    """`chat_template_kwargs` is vLLM's: what the model's template knows beside the messages."""

    messages: list[Message] = Field(min_length=1)
    tools: list[dict[str, Any]] = []
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: dict[str, Any] = {}
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=20)

    @model_validator(mode="after")
    def _logprobs_are_wanted(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        return self

    def to_prompt(self) -> pb.Prompt:
        chat = pb.Chat(
            messages=[message.to_proto() for message in self.messages],
            tools_json=json.dumps(self.tools) if self.tools else "",
            parallel_tool_calls=self.parallel_tool_calls,
        )
        if isinstance(self.tool_choice, NamedTool):
            chat.tool_name = self.tool_choice.function.name
        elif self.tool_choice:
            chat.tool_choice = TOOL_CHOICES[self.tool_choice]
        if options := template_options(self.reasoning_effort, self.chat_template_kwargs):
            chat.chat_template_kwargs_json = json.dumps(options)
        return pb.Prompt(chat=chat)

    def chat_sampling(self) -> pb.SamplingParameters:
        sampling = self.sampling(None)
        if self.response_format and (structured := self.response_format.structured()):
            sampling.structured.CopyFrom(structured)
        if self.num_logprobs is not None:
            sampling.num_logprobs = self.num_logprobs
        return sampling

    @property
    def num_logprobs(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None


def template_options(effort: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a chat template is told of reasoning, by the names that templates have for it.

    What the client says itself holds. A template that knows a name not ignores it.
    """
    if not effort:
        return dict(given)
    return {"reasoning_effort": effort, "enable_thinking": effort != "none", **given}
