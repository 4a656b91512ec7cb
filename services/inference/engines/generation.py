"""What an engine is asked and what it answers: plain objects, without a word of any engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from services.inference.engines.chat import ChatOptions, ToolCallDelta


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    ABORTED = "aborted"


class StructuredKind(StrEnum):
    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    REGEX = "regex"
    CHOICE = "choice"
    GRAMMAR = "grammar"

    @property
    def param(self) -> str:
        """The field of the OpenAI API, or of vLLM's, that a client set it by."""
        json_kinds = (StructuredKind.JSON_SCHEMA, StructuredKind.JSON_OBJECT)
        return "response_format" if self in json_kinds else "structured_outputs"


@dataclass(frozen=True)
class Structured:
    """What the text must be: `text` is the schema, expression or grammar; or one of `choices`."""

    kind: StructuredKind
    text: str = ""
    choices: Sequence[str] = ()


@dataclass(frozen=True)
class Sampling:
    """Limits are those of proto/v1/replica.proto. `num_logprobs` None: no log-probabilities."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: Sequence[str] = ()
    stop_token_ids: Sequence[int] = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    num_logprobs: int | None = None
    prompt_logprobs: bool = False
    structured: Structured | None = None
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    min_tokens: int = 0


@dataclass(frozen=True)
class GenerationRequest:
    """`request_id` is unique in the engine's life. A lower `priority` is served earlier.

    `chat` is set where the prompt is one: then the answer is parsed. `images` are files, in the
    order in which the prompt names them.
    """

    request_id: str
    prompt_token_ids: Sequence[int]
    sampling: Sampling
    adapter_id: str = ""
    priority: int = 0
    chat: ChatOptions | None = None
    images: Sequence[bytes] = ()


@dataclass(frozen=True)
class TokenLogprob:
    """`logprob` is None for the first token of a prompt, which nothing predicts."""

    token_id: int
    text: str
    logprob: float | None
    rank: int


@dataclass(frozen=True)
class PositionLogprobs:
    """The token at a position and, best first, the most probable ones."""

    chosen: TokenLogprob
    top: Sequence[TokenLogprob] = ()


@dataclass(frozen=True)
class Finish:
    """`queue_seconds`: how long it waited for a place in the batch."""

    reason: FinishReason
    stop_string: str
    num_prompt_tokens: int
    num_generated_tokens: int
    num_cached_tokens: int
    queue_seconds: float = 0.0


@dataclass(frozen=True)
class Delta:
    """All that was ready since the last one. `finish` is set in the last.

    What a chat's parsers took for reasoning or tool calls is not in `text`.
    """

    token_ids: Sequence[int] = ()
    text: str = ""
    reasoning: str = ""
    tool_calls: Sequence[ToolCallDelta] = ()
    logprobs: Sequence[PositionLogprobs] = ()
    prompt_logprobs: Sequence[PositionLogprobs] = ()
    finish: Finish | None = None


@dataclass(frozen=True)
class EngineStats:
    """The engine's own gauges. `kv_cache_usage` is 0 to 1."""

    num_running: int = 0
    num_waiting: int = 0
    kv_cache_usage: float = 0.0


@dataclass(frozen=True)
class Score:
    """`mean_loss` in nats for each token; None when no token could be scored."""

    mean_loss: float | None
    num_scored_tokens: int


@dataclass(frozen=True)
class Embeddings:
    """L2-normalised vectors in the order of the texts."""

    vectors: Sequence[Sequence[float]]
    num_prompt_tokens: int
