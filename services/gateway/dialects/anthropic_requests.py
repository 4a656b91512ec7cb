"""Anthropic's requests, as far as they mean something here. Null is absent, unknown is ignored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.dialects.anthropic_content import TextBlock, Turn, or_text, to_messages

_MAX_STOPS = 64
_MAX_COUNT = 2**31 - 1
_CHOICES = {
    "auto": pb.TOOL_CHOICE_AUTO,
    "any": pb.TOOL_CHOICE_REQUIRED,
    "tool": pb.TOOL_CHOICE_UNSPECIFIED,  # its name says it
    "none": pb.TOOL_CHOICE_NONE,
}


class Tool(BaseModel):
    name: str = ""
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None

    @model_validator(mode="after")
    def _is_described(self) -> Self:
        if not self.name or self.input_schema is None:
            raise ValueError("a tool has a name and an input_schema")
        return self

    def as_function(self) -> dict[str, Any]:
        """In OpenAI's form."""
        function: dict[str, Any] = {"name": self.name}
        if self.description:
            function["description"] = self.description
        function["parameters"] = {"type": "object", **(self.input_schema or {})}
        if self.strict is not None:
            function["strict"] = self.strict
        return {"type": "function", "function": function}


def _kind_of_theirs(tool: Any) -> str | None:
    """The type of a tool that Anthropic describes and not the client; None for the client's."""
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    return kind if isinstance(kind, str) and kind != "custom" else None


class ToolChoice(BaseModel):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if self.type == "tool" and not self.name:
            raise ValueError("the type tool needs the name of one")
        return self


class Thinking(BaseModel):
    """On or off: of a budget no engine here knows. `between_tools` is off."""

    type: Literal["enabled", "adaptive", "disabled", "between_tools"]

    @property
    def is_on(self) -> bool:
        return self.type in ("enabled", "adaptive")


class OutputFormat(BaseModel):
    type: Literal["json_schema"]
    form: dict[str, Any] = Field(alias="schema")


class OutputConfig(BaseModel):
    format: OutputFormat | None = None


class ChatFields(BaseModel):
    """What is counted and what is answered."""

    model: str | None = None
    system: Annotated[list[TextBlock], or_text(list[TextBlock])] = []
    messages: list[Turn] = Field(min_length=1)
    tools: list[Tool] = []
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    mcp_servers: list[Any] = []

    @field_validator("tools", mode="before")
    @classmethod
    def _without_theirs(cls, value: Any) -> Any:
        """Clients send tools of Anthropic's own, which have no schema, beside theirs."""
        if not isinstance(value, list):
            return value
        described = [tool for tool in value if _kind_of_theirs(tool) is None]
        if value and not described:
            raise ValueError(
                f"{_kind_of_theirs(value[0])} is a tool of Anthropic's own, which there is none of"
                " here: it is left out beside others, and there is no other; tools have a name and"
                " an input_schema"
            )
        return described

    @field_validator("mcp_servers")
    @classmethod
    def _none(cls, value: list[Any]) -> list[Any]:
        if value:
            raise ValueError("Hearth calls no MCP servers; let the client call them")
        return value

    def to_prompt(self) -> pb.Prompt:
        tools = [tool.as_function() for tool in self.tools]
        chat = pb.Chat(
            messages=to_messages(self.system, self.messages),
            tools_json=json.dumps(tools) if tools else "",
        )
        if self.tool_choice is not None:
            chat.tool_choice = _CHOICES[self.tool_choice.type]
            if self.tool_choice.type == "tool":
                chat.tool_name = self.tool_choice.name or ""
            chat.parallel_tool_calls = not self.tool_choice.disable_parallel_tool_use
        if self.thinking is not None:
            options = {"enable_thinking": self.thinking.is_on}
            chat.chat_template_kwargs_json = json.dumps(options)
        return pb.Prompt(chat=chat)


class MessagesRequest(ChatFields):
    max_tokens: int = Field(ge=1, le=_MAX_COUNT)
    stream: bool = False
    stop_sequences: list[str] = []
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0, le=_MAX_COUNT)
    output_config: OutputConfig | None = None

    @field_validator("messages")
    @classmethod
    def _ends_with_the_user(cls, value: list[Turn]) -> list[Turn]:
        if value[-1].role == "assistant":
            raise ValueError(
                "the last one must be the user's: an answer that was begun for the model cannot be"
                " gone on with here"
            )
        return value

    @field_validator("stop_sequences")
    @classmethod
    def _useful_stops(cls, value: list[str]) -> list[str]:
        if len(value) > _MAX_STOPS:
            raise ValueError(f"at most {_MAX_STOPS} strings")
        return [stop for stop in value if stop]

    def sampling(self) -> pb.SamplingParameters:
        parameters = pb.SamplingParameters(max_tokens=self.max_tokens, stop=self.stop_sequences)
        if self.temperature is not None:
            parameters.temperature = self.temperature
        if self.top_p is not None:
            parameters.top_p = self.top_p
        if self.top_k:
            parameters.top_k = self.top_k
        if self.output_config is not None and self.output_config.format is not None:
            parameters.structured.json_schema = json.dumps(self.output_config.format.form)
        return parameters
