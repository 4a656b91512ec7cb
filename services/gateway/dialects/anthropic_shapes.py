"""Shapes of Anthropic's answers, for the document of what clients may ask."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"]


class AnthropicError(BaseModel):
    type: str
    message: str


class AnthropicProblem(BaseModel):
    """`detail` is the sentence of `error.message`."""

    type: Literal["error"]
    error: AnthropicError
    detail: str
    caps_version: int


class ToldText(BaseModel):
    type: Literal["text"]
    text: str


class ToldThinking(BaseModel):
    type: Literal["thinking"]
    thinking: str
    signature: str


class ToldToolUse(BaseModel):
    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class AnthropicUsage(BaseModel):
    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int


class AnthropicMessage(BaseModel):
    """In the event `message_start` the reason is null: nobody knows it yet."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[ToldText | ToldThinking | ToldToolUse]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: AnthropicUsage
    caps_version: int


class TokenCount(BaseModel):
    input_tokens: int


class Ping(BaseModel):
    type: Literal["ping"]


class MessageStart(BaseModel):
    type: Literal["message_start"]
    message: AnthropicMessage


class BlockStart(BaseModel):
    type: Literal["content_block_start"]
    index: int
    content_block: ToldText | ToldThinking | ToldToolUse


class TextDelta(BaseModel):
    type: Literal["text_delta"]
    text: str


class ThinkingDelta(BaseModel):
    type: Literal["thinking_delta"]
    thinking: str


class SignatureDelta(BaseModel):
    type: Literal["signature_delta"]
    signature: str


class InputDelta(BaseModel):
    type: Literal["input_json_delta"]
    partial_json: str


class BlockDelta(BaseModel):
    type: Literal["content_block_delta"]
    index: int
    delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta


class BlockStop(BaseModel):
    type: Literal["content_block_stop"]
    index: int


class Stop(BaseModel):
    stop_reason: StopReason
    stop_sequence: str | None


class LastDelta(BaseModel):
    type: Literal["message_delta"]
    delta: Stop
    usage: AnthropicUsage


class MessageStop(BaseModel):
    type: Literal["message_stop"]


AnthropicEvent = Ping | MessageStart | BlockStart | BlockDelta | BlockStop | LastDelta | MessageStop
