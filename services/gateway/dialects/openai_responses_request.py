"""OpenAI's request for a response. Nothing is stored: each request brings the whole input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.dialects.openai_requests import (
    MAX_COUNT,
    TOOL_CHOICES,
    GenerationFields,
    template_options,
)
from services.gateway.dialects.openai_responses_input import (
    Item,
    MessageItem,
    chat_messages,
    check_kinds,
)

_LOGPROBS = "message.output_text.logprobs"
_NOT_OFFERED = {
    "background": "responses are not made in the background: leave it out and stream",
    "conversation": "conversations are not stored here: send the whole input each time",
    "moderation": "nothing is moderated here: leave it out",
    "previous_response_id": "responses are not stored here: send the whole input each time",
    "prompt": "prompts are not stored here: send the text as instructions and input",
}


_NO_HOSTED = "Hearth runs no tools itself: send tools of type function, which the client runs"


def _hosted_kind(tool: Any) -> str | None:
    """The type of a tool, or a choice of one, that is no function; None for what may be one."""
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    return kind if isinstance(kind, str) and kind != "function" else None


class FunctionTool(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: Literal["function"]
    name: str = Field(min_length=1)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    def for_chat(self) -> dict[str, Any]:
        """As chat templates expect it."""
        fields = self.model_dump(exclude={"type"}, exclude_none=True)
        return {"type": "function", "function": fields}


class NamedTool(BaseModel):
    type: Literal["function"]
    name: str = Field(min_length=1)


class TextFormat(BaseModel):
    """`name` and `strict` mean nothing here: the answer always holds to the schema."""

    model_config = ConfigDict(extra="ignore", serialize_by_alias=True)

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    json_schema: dict[str, Any] | None = Field(None, alias="schema")
    description: str | None = None
    strict: bool | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("schema goes with type json_schema")
        return self


class Text(BaseModel):
    """`verbosity` means nothing here."""

    format: TextFormat | None = None


class Reasoning(BaseModel):
    """Reasoning is told whole; no summary is made of it."""

    effort: str | None = None


class ResponsesRequest(GenerationFields):
    """Of the fields of completions and chat, `stop`, `seed`, penalties and the like hold as well.

    Truncation `auto` is read as `disabled`: an input that is too long is refused, never cut.
    """

    input: str | Annotated[list[Item], Field(min_length=1)]
    instructions: str = ""
    max_output_tokens: int | None = Field(None, ge=1, le=MAX_COUNT)
    tools: list[FunctionTool] = []
    tool_choice: Literal["auto", "none", "required"] | NamedTool = "auto"
    parallel_tool_calls: bool = True
    text: Text = Text()
    reasoning: Reasoning = Reasoning()
    include: list[str] = []
    top_logprobs: int = Field(0, ge=0, le=20)
    truncation: Literal["auto", "disabled"] = "disabled"
    metadata: dict[str, str] = {}
    chat_template_kwargs: dict[str, Any] = {}
    background: bool = False
    conversation: Any = None
    moderation: Any = None
    previous_response_id: Any = None
    prompt: Any = None

    @field_validator(*_NOT_OFFERED)
    @classmethod
    def _is_not_offered(cls, value: Any, info: ValidationInfo) -> Any:
        if value:
            raise ValueError(_NOT_OFFERED[info.field_name or ""])
        return value

    @field_validator("input", mode="before")
    @classmethod
    def _known_items(cls, value: Any) -> Any:
        return check_kinds(value)

    @field_validator("tools", mode="before")
    @classmethod
    def _without_hosted(cls, value: Any) -> Any:
        """Agents send tools that their own servers run beside theirs, whatever the server."""
        if not isinstance(value, list):
            return value
        own = [tool for tool in value if _hosted_kind(tool) is None]
        if value and not own:
            raise ValueError(
                f"the type {_hosted_kind(value[0])!r} is left out beside others, but there is no"
                f" other: {_NO_HOSTED}"
            )
        return own

    @field_validator("tool_choice", mode="before")
    @classmethod
    def _choice_of_functions(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("type") != "allowed_tools":
            if (kind := _hosted_kind(value)) is not None:
                raise ValueError(f"the type {kind!r} cannot be had: {_NO_HOSTED}")
            if "name" in value:
                return value
        if not isinstance(value, str):
            raise ValueError("must be auto, none, required or {type: function, name: ...}")
        return value

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.top_logprobs and not self.wants_logprobs:
            raise ValueError(f"top_logprobs needs include: [{_LOGPROBS!r}]")
        if self.n > 1:
            raise ValueError("n above 1 is not offered here; ask several times")
        return self

    @property
    def num_new_tokens(self) -> int | None:
        return self.max_output_tokens

    @property
    def wants_logprobs(self) -> bool:
        return _LOGPROBS in self.include

    @property
    def format(self) -> TextFormat:
        return self.text.format or TextFormat()

    def to_prompt(self) -> pb.Prompt:
        items = self.input
        if isinstance(items, str):
            items = [MessageItem(role="user", content=items)]
        chat = pb.Chat(
            messages=chat_messages(self.instructions, items),
            tools_json=json.dumps([t.for_chat() for t in self.tools]) if self.tools else "",
            parallel_tool_calls=self.parallel_tool_calls,
        )
        if isinstance(self.tool_choice, NamedTool):
            chat.tool_name = self.tool_choice.name
        else:
            chat.tool_choice = TOOL_CHOICES[self.tool_choice]
        if options := template_options(self.reasoning.effort, self.chat_template_kwargs):
            chat.chat_template_kwargs_json = json.dumps(options)
        return pb.Prompt(chat=chat)

    def to_sampling(self) -> pb.SamplingParameters:
        sampling = self.sampling(None)
        if self.format.json_schema is not None:
            sampling.structured.json_schema = json.dumps(self.format.json_schema)
        elif self.format.type == "json_object":
            sampling.structured.json_object = True
        if self.wants_logprobs:
            sampling.num_logprobs = self.top_logprobs
        return sampling

    def told(self) -> dict[str, Any]:
        """What a response repeats of its request."""
        choice = self.tool_choice
        return {
            "background": False,
            "instructions": self.instructions or None,
            "max_output_tokens": self.max_output_tokens,
            "metadata": self.metadata,
            "parallel_tool_calls": self.parallel_tool_calls,
            "previous_response_id": None,
            "reasoning": {"effort": self.reasoning.effort, "summary": None},
            "store": False,
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "text": {"format": self.format.model_dump(exclude_none=True)},
            "tool_choice": choice if isinstance(choice, str) else choice.model_dump(),
            "tools": [tool.model_dump() for tool in self.tools],
            "top_logprobs": self.top_logprobs,
            "top_p": 1.0 if self.top_p is None else self.top_p,
            "truncation": "disabled",
        }
