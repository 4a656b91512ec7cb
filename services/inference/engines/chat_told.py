"""What was told of an answer so far, and what the whole answer has beside it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.inference.engines.chat import ToolCallDelta
from services.inference.engines.generation import Delta


class WholeCall(Protocol):
    """A tool call as it is in the whole answer."""

    id: str | None
    name: str
    arguments: str


@dataclass
class _Call:
    name: str = ""
    arguments: str = ""


class ToldSoFar:
    """Nothing that was told is taken back: what differs from the whole answer stays as it is."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: dict[int, _Call] = {}

    def add(self, delta: Delta) -> None:
        self.text += delta.text
        for part in delta.tool_calls:
            call = self.calls.setdefault(part.index, _Call())
            call.name += part.name
            call.arguments += part.arguments

    @property
    def anything(self) -> bool:
        return bool(self.text or self.calls)

    def rest_of_text(self, whole: str) -> str:
        return whole[len(self.text) :] if whole.startswith(self.text) else ""

    def rest_of_calls(self, whole: Sequence[WholeCall]) -> list[ToolCallDelta]:
        rest = []
        for index, call in enumerate(whole):
            told = self.calls.get(index)
            if told is None:
                call_id = call.id or f"call_{uuid.uuid4().hex}"
                rest.append(ToolCallDelta(index, call_id, call.name, call.arguments))
            elif call.arguments != told.arguments and call.arguments.startswith(told.arguments):
                missing = call.arguments[len(told.arguments) :]
                rest.append(ToolCallDelta(index, arguments=missing))
        return rest
