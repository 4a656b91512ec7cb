"""The blocks that Anthropic's messages are made of, and what a chat template is given of them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from itertools import chain, groupby
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from services.cluster.pb.v1 import replica_pb2 as pb

# Claude Code's, as a block of the system prompt: it differs from request to request, and with it
# in front no prompt would be found in the prefix cache.
_BILLING = "x-anthropic-billing-header"
_BETWEEN_BLOCKS = "\n\n"


def _as_blocks(value: Any) -> Any:
    if value is None:
        return []
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


def _file_of(source: Any) -> bytes:
    kind = source.get("type") if isinstance(source, dict) else None
    if kind != "base64":
        raise ValueError(
            f"the type {kind} is not taken: send the image as base64, nothing is fetched"
        )
    try:
        return base64.b64decode(source.get("data") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ValueError("data is not base64") from None


def or_text(blocks: Any) -> BeforeValidator:
    """For a list of such blocks: a string stands for one of text, null for none."""
    return BeforeValidator(_as_blocks, json_schema_input_type=str | blocks | None)


class FileSource(BaseModel):
    """`data` is base64."""

    type: Literal["base64"]
    data: str


class TextBlock(BaseModel):
    type: Literal["text"]
    text: str


class ImageBlock(BaseModel):
    """`source` is the file; which format it has is seen in it."""

    type: Literal["image"]
    source: Annotated[bytes, BeforeValidator(_file_of, json_schema_input_type=FileSource)]


class ToolUseBlock(BaseModel):
    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any] | None = None


ResultBlocks = list[Annotated[TextBlock | ImageBlock, Field(discriminator="type")]]


class ToolResultBlock(BaseModel):
    type: Literal["tool_result"]
    tool_use_id: str
    content: Annotated[ResultBlocks, or_text(ResultBlocks)] = []
    is_error: bool | None = None


class ThinkingBlock(BaseModel):
    """Signatures are not looked at: what a client changes harms nobody but it."""

    type: Literal["thinking"]
    thinking: str


class RedactedThinkingBlock(BaseModel):
    """Nobody but Anthropic can read it."""

    type: Literal["redacted_thinking"]


Block = (
    TextBlock | ImageBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock | RedactedThinkingBlock
)
Blocks = list[Annotated[Block, Field(discriminator="type")]]
_BLOCKS_OF = {
    "user": {"text", "image", "tool_result"},
    "assistant": {"text", "thinking", "redacted_thinking", "tool_use"},
    "system": {"text"},
}
B = TypeVar("B", bound=Block)


class Turn(BaseModel):
    """One of `messages`. Clients remind the model of something by a system turn between others."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[Blocks, or_text(Blocks)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for block in self.content:
            if block.type not in _BLOCKS_OF[self.role]:
                raise ValueError(f"a message of the role {self.role} has no {block.type} blocks")
        return self


def to_messages(system: Sequence[TextBlock], turns: Sequence[Turn]) -> list[pb.ChatMessage]:
    """As chat templates expect them: the system prompt first, no two of a role in a row.

    What a system turn says is said by the user: most templates know one system prompt only.
    """
    names = {use.id: use.name for turn in turns for use in _of_kind(ToolUseBlock, turn.content)}
    prompt = [block for block in system if not block.text.startswith(_BILLING)]
    messages = [pb.ChatMessage(role="system", content=_joined(prompt))] if prompt else []
    for is_answer, group in groupby(turns, lambda turn: turn.role == "assistant"):
        blocks = list(chain.from_iterable(turn.content for turn in group))
        messages += [_answer(blocks)] if is_answer else _user_messages(blocks, names)
    return messages


def _answer(blocks: Sequence[Block]) -> pb.ChatMessage:
    thoughts = [block.thinking for block in _of_kind(ThinkingBlock, blocks)]
    return pb.ChatMessage(
        role="assistant",
        content=_joined(_of_kind(TextBlock, blocks)),
        reasoning=_BETWEEN_BLOCKS.join(thoughts),
        tool_calls=[
            pb.ToolCall(id=use.id, name=use.name, arguments=json.dumps(use.input or {}))
            for use in _of_kind(ToolUseBlock, blocks)
        ],
    )


def _user_messages(blocks: Sequence[Block], names: dict[str, str]) -> list[pb.ChatMessage]:
    """The results of tools first, since they follow their calls. `names` are those of tools by id.

    Templates know text results only: their images are in the message behind them.
    """
    messages: list[pb.ChatMessage] = []
    rest: list[Block] = []
    for block in blocks:
        if isinstance(block, ToolResultBlock):
            text = _joined(_of_kind(TextBlock, block.content))
            messages.append(
                pb.ChatMessage(
                    role="tool",
                    content=f"Error: {text}" if block.is_error else text,
                    tool_call_id=block.tool_use_id,
                    name=names.get(block.tool_use_id, ""),
                )
            )
            rest += _of_kind(ImageBlock, block.content)
        else:
            rest.append(block)
    if not any(isinstance(block, ImageBlock) for block in rest):
        said = pb.ChatMessage(role="user", content=_joined(_of_kind(TextBlock, rest)))
    else:
        said = pb.ChatMessage(role="user", parts=[_part(block) for block in rest])
    return [*messages, said] if rest or not messages else messages


def _part(block: Block) -> pb.ContentPart:
    if isinstance(block, ImageBlock):
        return pb.ContentPart(image=block.source)
    assert isinstance(block, TextBlock)
    return pb.ContentPart(text=block.text)


def _of_kind(kind: type[B], blocks: Iterable[Block]) -> list[B]:
    return [block for block in blocks if isinstance(block, kind)]


def _joined(blocks: Iterable[TextBlock]) -> str:
    return _BETWEEN_BLOCKS.join(block.text for block in blocks if block.text)
