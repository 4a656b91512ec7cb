"""What a chat asks of its answer beside the sampling, without a word of any engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ToolChoice(StrEnum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


@dataclass(frozen=True)
class ChatOptions:
    """`tools` in the form of the OpenAI API; `tool_name` is set for NAMED.

    `template_options` are what the chat template was given beside messages and tools: a model's
    parsers know from them whether it thinks.
    """

    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: ToolChoice = ToolChoice.AUTO
    tool_name: str = ""
    parallel_tool_calls: bool = True
    template_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def forces_a_call(self) -> bool:
        return self.tool_choice in (ToolChoice.REQUIRED, ToolChoice.NAMED)


@dataclass(frozen=True)
class ToolCallDelta:
    """`call_id` and `name` in the first of a call; `arguments` are appended."""

    index: int
    call_id: str = ""
    name: str = ""
    arguments: str = ""
