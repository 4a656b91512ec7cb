"""Input of OpenAI's responses: items of a conversation, as messages of a chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.dialects.openai_messages import image_of

_UNREAD_PARTS = {
    "input_file": "files are not read: send their text as input_text",
    "input_audio": "no model here hears: send text or images",
}
_NOT_STORED = "nothing is stored here: send the item itself"


class TextPart(BaseModel):
    type: Literal["input_text", "output_text", "text"]
    text: str

    def to_proto(self) -> pb.ContentPart:
        return pb.ContentPart(text=self.text)


class RefusalPart(BaseModel):
    type: Literal["refusal"]
    refusal: str

    def to_proto(self) -> pb.ContentPart:
        return pb.ContentPart(text=self.refusal)


class ImagePart(BaseModel):
    """`image_url` is a data URL; `detail` means nothing here."""

    type: Literal["input_image"]
    image_url: str | None = None

    def to_proto(self) -> pb.ContentPart:
        return pb.ContentPart(image=image_of(self.image_url or "", param="input"))


Part = Annotated[TextPart | RefusalPart | ImagePart, Field(discriminator="type")]


class _Spoken(BaseModel):
    model_config = ConfigDict(extra="ignore")

    @field_validator("content", "output", mode="before", check_fields=False)
    @classmethod
    def _readable_parts(cls, value: Any) -> Any:
        """Of a part of no use it is said why."""
        for part in value if isinstance(value, list) else ():
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str) and kind in _UNREAD_PARTS:
                raise ValueError(f"type {kind}: {_UNREAD_PARTS[kind]}")
        return value


class MessageItem(_Spoken):
    """Either form that OpenAI has: with text for content, or as an output item given back."""

    type: Literal["message"] = "message"
    role: Literal["user", "system", "developer", "assistant"]
    content: str | list[Part] | None = None


class FunctionCallItem(BaseModel):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str | None = None


class FunctionOutputItem(_Spoken):
    type: Literal["function_call_output"]
    call_id: str
    output: str | list[Part] | None = None


class ReasoningItem(BaseModel):
    """What the model thought before; it is not shown to it again."""

    type: Literal["reasoning"]


def _kind(value: Any) -> Any:
    if isinstance(value, dict):
        return value.get("type") or "message"
    return getattr(value, "type", "message")


Item = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[FunctionOutputItem, Tag("function_call_output")]
    | Annotated[ReasoningItem, Tag("reasoning")],
    Discriminator(_kind),
]
_KINDS = ("message", "function_call", "function_call_output", "reasoning")


def check_kinds(value: Any) -> Any:
    """Raises ValueError for an item of a kind that cannot be here."""
    for number, item in enumerate(value if isinstance(value, list) else ()):
        kind = _kind(item)
        if kind == "item_reference":
            raise ValueError(f"item {number} is a reference, but {_NOT_STORED}")
        if kind not in _KINDS:
            raise ValueError(
                f"item {number} has the type {kind!r}; the types read here are {', '.join(_KINDS)}"
            )
    return value


def chat_messages(instructions: str, items: Sequence[Item]) -> list[pb.ChatMessage]:
    """In the form of a chat: what an assistant said together is one message.

    System messages at the start become one, since many templates take no more. Raises BadRequest.
    """
    messages = [pb.ChatMessage(role="system", content=instructions)] if instructions else []
    names: dict[str, str] = {}
    for item in items:
        if isinstance(item, MessageItem):
            _add_message(messages, item)
        elif isinstance(item, FunctionCallItem):
            names[item.call_id] = item.name
            _add_call(messages, item)
        elif isinstance(item, FunctionOutputItem):
            messages.append(_output(item, names))
    if not messages:
        raise BadRequest("input holds nothing to answer: send a message.", param="input")
    return messages


def _add_message(messages: list[pb.ChatMessage], item: MessageItem) -> None:
    role = "system" if item.role == "developer" else item.role
    found = pb.ChatMessage(role=role)
    _fill(found, item.content)
    last = messages[-1] if messages else None
    if role == "system" and last and len(messages) == 1 and last.role == "system":
        last.content = "\n\n".join(text for text in (last.content, found.content) if text)
    elif role == "assistant" and last and last.tool_calls and not found.parts:
        last.content += found.content
    else:
        messages.append(found)


def _add_call(messages: list[pb.ChatMessage], item: FunctionCallItem) -> None:
    if not messages or messages[-1].role != "assistant":
        messages.append(pb.ChatMessage(role="assistant"))
    call = pb.ToolCall(id=item.call_id, name=item.name, arguments=item.arguments or "")
    messages[-1].tool_calls.append(call)


def _output(item: FunctionOutputItem, names: dict[str, str]) -> pb.ChatMessage:
    if item.call_id not in names:
        raise BadRequest(
            f"input has an output for the call {item.call_id!r}, but no function_call of that"
            " call_id before it. Nothing is stored here: send the whole input.",
            param="input",
        )
    found = pb.ChatMessage(role="tool", tool_call_id=item.call_id, name=names[item.call_id])
    _fill(found, item.output)
    return found


def _fill(message: pb.ChatMessage, content: str | list[Part] | None) -> None:
    """Parts only where there are images: text alone is `content`."""
    if isinstance(content, list):
        parts = [part.to_proto() for part in content]
        if any(part.HasField("image") for part in parts):
            message.parts.extend(parts)
            return
        content = "".join(part.text for part in parts)
    message.content = content or ""
