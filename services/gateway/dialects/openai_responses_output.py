"""Output of OpenAI's responses: items that grow, and the events that tell of it."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.dialects.openai_answers import chat_logprobs

Event = dict[str, Any]
Status = Literal["in_progress", "completed", "incomplete"]


class _Item(ABC):
    kind: ClassVar[str]
    prefix: ClassVar[str]

    def __init__(self, index: int) -> None:
        self.index = index
        self.item_id = new_id(self.prefix)
        self.status: Status = "in_progress"

    @abstractmethod
    def as_dict(self) -> dict[str, Any]: ...

    @abstractmethod
    def _last_events(self) -> Iterator[Event]: ...

    def opened(self) -> Iterator[Event]:
        yield self._whole("response.output_item.added")

    def closed(self, status: Status) -> Iterator[Event]:
        yield from self._last_events()
        self.status = status
        yield self._whole("response.output_item.done")

    def _whole(self, kind: str) -> Event:
        return {"type": kind, "output_index": self.index, "item": self.as_dict()}

    def _event(self, kind: str, **more: Any) -> Event:
        return {"type": kind, "item_id": self.item_id, "output_index": self.index, **more}


class _TextItem(_Item):
    """An item of one part."""

    part_kind: ClassVar[str]

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self._texts: list[str] = []
        self._has_part = False

    @property
    def text(self) -> str:
        return "".join(self._texts)

    @property
    def parts(self) -> list[dict[str, Any]]:
        return [self._part()] if self._has_part else []

    def _part(self) -> dict[str, Any]:
        return {"type": self.part_kind, "text": self.text}

    def opened(self) -> Iterator[Event]:
        yield from super().opened()
        self._has_part = True
        yield self._event("response.content_part.added", content_index=0, part=self._part())

    def grown(self, text: str, **more: Any) -> Iterator[Event]:
        self._texts.append(text)
        kind = f"response.{self.part_kind}.delta"
        yield self._event(kind, content_index=0, delta=text, **more)

    def _last_events(self, **more: Any) -> Iterator[Event]:
        kind = f"response.{self.part_kind}.done"
        yield self._event(kind, content_index=0, text=self.text, **more)
        yield self._event("response.content_part.done", content_index=0, part=self._part())


class _Reasoning(_TextItem):
    kind = "reasoning"
    prefix = "rs"
    part_kind = "reasoning_text"

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.item_id,
            "type": self.kind,
            "summary": [],
            "content": self.parts,
            "status": self.status,
        }


class _Message(_TextItem):
    kind = "message"
    prefix = "msg"
    part_kind = "output_text"

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self._logprobs: list[Any] = []

    def _part(self) -> dict[str, Any]:
        return {**super()._part(), "annotations": [], "logprobs": list(self._logprobs)}

    def said(self, text: str, logprobs: list[Any]) -> Iterator[Event]:
        self._logprobs += logprobs
        return self.grown(text, logprobs=logprobs)

    def _last_events(self, **more: Any) -> Iterator[Event]:
        return super()._last_events(logprobs=list(self._logprobs), **more)

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.item_id,
            "type": self.kind,
            "role": "assistant",
            "content": self.parts,
            "status": self.status,
        }


class _Call(_Item):
    kind = "function_call"
    prefix = "fc"

    def __init__(self, index: int, delta: pb.ToolCallDelta) -> None:
        super().__init__(index)
        self._call_id = delta.id or new_id("call")
        self._name = delta.name
        self._arguments = ""

    def grown(self, delta: pb.ToolCallDelta) -> Iterator[Event]:
        self._name = self._name or delta.name
        if delta.arguments:
            self._arguments += delta.arguments
            yield self._event("response.function_call_arguments.delta", delta=delta.arguments)

    def _last_events(self) -> Iterator[Event]:
        yield self._event(
            "response.function_call_arguments.done", name=self._name, arguments=self._arguments
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.item_id,
            "type": self.kind,
            "call_id": self._call_id,
            "name": self._name,
            "arguments": self._arguments,
            "status": self.status,
        }


class Output:
    """What one answer has so far. `num_top` None: no log-probabilities.

    Calls stay open to the end, since the last message may add to any of them. Space before a text
    is held back until the text comes: around calls it is the model's form and no message.
    """

    def __init__(self, num_top: int | None) -> None:
        self.num_reasoning_tokens = 0
        self._num_top = num_top
        self._items: list[_Item] = []
        self._text: _TextItem | None = None  # the open one
        self._calls: dict[int, _Call] = {}
        self._space = ""
        self._positions: list[pb.PositionLogprobs] = []

    def as_list(self) -> list[dict[str, Any]]:
        return [item.as_dict() for item in self._items]

    def add(self, message: pb.GenerateResponse) -> Iterator[Event]:
        """The events of one message; the items change as they are read."""
        self._positions += message.logprobs
        if message.reasoning:
            self._count(message)
            yield from self._reason(message.reasoning)
        if message.text:
            yield from self._say(message.text)
        elif message.reasoning or message.tool_calls:
            self._positions = []
        for delta in message.tool_calls:
            yield from self._call(delta)

    def end(self, *, is_cut: bool) -> Iterator[Event]:
        """Closes what is open. The item in which an answer was cut is incomplete.

        An answer that is neither text nor call is an empty message.
        """
        wants_message = not self._calls and not isinstance(self._text, _Message)
        if wants_message and (self._space or not self._items or not is_cut):
            yield from self._say("", is_last=True)
        last = self._items[-1]
        for item in self._items:
            if item.status == "in_progress":
                yield from item.closed("incomplete" if is_cut and item is last else "completed")

    def break_off(self) -> None:
        """What is open stays without an end."""
        for item in self._items:
            if item.status == "in_progress":
                item.status = "incomplete"

    def _reason(self, text: str) -> Iterator[Event]:
        reasoning = self._text
        if not isinstance(reasoning, _Reasoning):
            reasoning = _Reasoning(len(self._items))
            yield from self._open(reasoning)
        yield from reasoning.grown(text)

    def _say(self, text: str, *, is_last: bool = False) -> Iterator[Event]:
        text, self._space = self._space + text, ""
        message = self._text
        if not isinstance(message, _Message):
            if not text.strip() and not is_last:
                self._space = text
                return
            message = _Message(len(self._items))
            yield from self._open(message)
        positions, self._positions = self._positions, []
        logprobs: list[Any] = []
        if self._num_top is not None:
            logprobs = chat_logprobs(positions, self._num_top)["content"]
        if text:
            yield from message.said(text, logprobs)

    def _open(self, item: _TextItem) -> Iterator[Event]:
        yield from self._close_text()
        self._text = item
        self._items.append(item)
        yield from item.opened()

    def _call(self, delta: pb.ToolCallDelta) -> Iterator[Event]:
        call = self._calls.get(delta.index)
        if call is None:
            yield from self._close_text()
            self._space = ""
            call = self._calls[delta.index] = _Call(len(self._items), delta)
            self._items.append(call)
            yield from call.opened()
        yield from call.grown(delta)

    def _close_text(self) -> Iterator[Event]:
        if self._text is not None:
            yield from self._text.closed("completed")
            self._text = None

    def _count(self, message: pb.GenerateResponse) -> None:
        """Tokens of a message that ends the reasoning are shared out by its characters."""
        told = [*(call.arguments for call in message.tool_calls), message.text]
        num_other = sum(map(len, told))
        num_chars = len(message.reasoning)
        share = num_chars / (num_chars + num_other)
        self.num_reasoning_tokens += round(len(message.token_ids) * share)


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
