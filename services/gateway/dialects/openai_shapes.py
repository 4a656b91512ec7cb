"""Shapes of OpenAI's answers, for the document of what clients may ask."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

FinishReason = Literal["stop", "length", "tool_calls", "abort"]


class CachedTokens(BaseModel):
    cached_tokens: int


class TokenUsage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens


class _Answer(BaseModel):
    """`model` is what really spoke: a base or an adapter."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    caps_version: int


class CompletionLogprobs(BaseModel):
    """`text_offset`: where in the text each token begins."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float | None] | None] | None
    text_offset: list[int]


class CompletionChoice(BaseModel):
    """`finish_reason` is null in all events of a stream but the last of a choice."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason | None


class Completion(_Answer):
    object: Literal["text_completion"]
    choices: list[CompletionChoice]
    usage: TokenUsage


class CompletionChunk(_Answer):
    object: Literal["text_completion"]
    choices: list[CompletionChoice]
    usage: TokenUsage | None = None


class ToldFunction(BaseModel):
    name: str
    arguments: str


class ToldCall(BaseModel):
    id: str
    type: Literal["function"]
    function: ToldFunction


class AnswerMessage(BaseModel):
    """`content` is null for calls of tools without a word. What there is none of is left out."""

    role: Literal["assistant"]
    content: str | None
    reasoning_content: str = ""
    tool_calls: list[ToldCall] = []


class TopLogprob(BaseModel):
    token: str
    logprob: float | None
    bytes: list[int]


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class ChatLogprobs(BaseModel):
    content: list[TokenLogprob]
    refusal: None


class ChatChoice(BaseModel):
    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason | None


class ChatCompletion(_Answer):
    object: Literal["chat.completion"]
    choices: list[ChatChoice]
    usage: TokenUsage


class FunctionDelta(BaseModel):
    name: str = ""
    arguments: str


class CallDelta(BaseModel):
    """`id`, `type` and the function's name come with the first of a call."""

    index: int
    id: str = ""
    type: Literal["function"] = "function"
    function: FunctionDelta


class MessageDelta(BaseModel):
    """What was added; what was not is left out."""

    role: Literal["assistant"] = "assistant"
    content: str = ""
    reasoning_content: str = ""
    tool_calls: list[CallDelta] = []


class ChatChunkChoice(BaseModel):
    index: int
    delta: MessageDelta
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason | None


class ChatCompletionChunk(_Answer):
    object: Literal["chat.completion.chunk"]
    choices: list[ChatChunkChoice]
    usage: TokenUsage | None = None


class ServedModel(BaseModel):
    """`parent`: the base of an adapter, what `auto` means now, null for a base."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    parent: str | None
    max_model_len: int
    completion: bool
    chat: bool


class NamedModel(ServedModel):
    caps_version: int


class ServedModels(BaseModel):
    object: Literal["list"]
    data: list[ServedModel]
    caps_version: int


class Embedding(BaseModel):
    """A vector; in base64 its values are 32-bit floats, the lowest byte first."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage
    caps_version: int
