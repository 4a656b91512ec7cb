"""Messages of proto/v1/replica.proto to the engine's objects and back."""

from __future__ import annotations

from collections.abc import Sequence

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.records import ReplicaPhase
from services.inference.engines.generation import (
    Delta,
    Finish,
    FinishReason,
    PositionLogprobs,
    Sampling,
    TokenLogprob,
)
from services.inference.serving.structured import to_structured

_MAX_STOPS = 64
_MAX_STOP_LETTERS = 1000  # as much text may be held back until it is known to be none
_MAX_LOGPROBS = 20

PHASES = {
    ReplicaPhase.DOWNLOADING: pb.REPLICA_PHASE_DOWNLOADING,
    ReplicaPhase.STARTING: pb.REPLICA_PHASE_STARTING,
    ReplicaPhase.WARMING: pb.REPLICA_PHASE_WARMING,
    ReplicaPhase.READY: pb.REPLICA_PHASE_READY,
    ReplicaPhase.DRAINING: pb.REPLICA_PHASE_DRAINING,
    ReplicaPhase.FAILED: pb.REPLICA_PHASE_FAILED,
    ReplicaPhase.ASLEEP: pb.REPLICA_PHASE_ASLEEP,
}
_REASONS = {
    FinishReason.STOP: pb.FINISH_REASON_STOP,
    FinishReason.LENGTH: pb.FINISH_REASON_LENGTH,
    FinishReason.TOOL_CALLS: pb.FINISH_REASON_TOOL_CALLS,
    FinishReason.ABORTED: pb.FINISH_REASON_ABORTED,
}


def _within(name: str, value: float, low: float, high: float) -> float:
    # Written so that NaN is refused too.
    if not low <= value <= high:
        raise BadRequest(f"{name} must be from {low:g} to {high:g}, not {value:g}.", param=name)
    return value


def wanted_max_tokens(message: pb.SamplingParameters) -> int | None:
    if not message.HasField("max_tokens"):
        return None
    if message.max_tokens < 1:
        raise BadRequest("max_tokens must be at least 1.", param="max_tokens")
    return message.max_tokens


def to_sampling(
    message: pb.SamplingParameters, max_tokens: int, stop_token_ids: Sequence[int], num_tokens: int
) -> Sampling:
    """`num_tokens` is the vocabulary's size. Raises BadRequest naming the field in `param`."""
    if len(message.stop) > _MAX_STOPS:
        raise BadRequest(f"stop holds {len(message.stop)} strings; 64 are allowed.", param="stop")
    if any(not stop for stop in message.stop):
        raise BadRequest("stop holds an empty string, which would end every answer.", param="stop")
    if (longest := max(map(len, message.stop), default=0)) > _MAX_STOP_LETTERS:
        raise BadRequest(
            f"stop holds a string of {longest} characters; {_MAX_STOP_LETTERS} are allowed.",
            param="stop",
        )
    for param in ("logit_bias", "stop_token_ids"):
        if any(token_id >= num_tokens for token_id in getattr(message, param)):
            raise BadRequest(
                f"{param} names a token outside the vocabulary of {num_tokens}.", param=param
            )
    has = message.HasField
    top_p = message.top_p if has("top_p") else 1.0
    if not 0 < top_p <= 1:
        raise BadRequest(f"top_p must be over 0 and at most 1, not {top_p:g}.", param="top_p")
    repetition_penalty = message.repetition_penalty if has("repetition_penalty") else 1.0
    if not 0 < repetition_penalty <= 2:
        raise BadRequest(
            f"repetition_penalty must be over 0 and at most 2, not {repetition_penalty:g}.",
            param="repetition_penalty",
        )
    num_logprobs = message.num_logprobs if has("num_logprobs") else None
    return Sampling(
        max_tokens=max_tokens,
        temperature=_within("temperature", message.temperature, 0, 2) if has("temperature") else 1,
        top_p=top_p,
        top_k=min(message.top_k, num_tokens),
        seed=message.seed if has("seed") else None,
        stop=tuple(message.stop),
        stop_token_ids=(*message.stop_token_ids, *stop_token_ids),
        presence_penalty=_within("presence_penalty", message.presence_penalty, -2, 2),
        frequency_penalty=_within("frequency_penalty", message.frequency_penalty, -2, 2),
        logit_bias={
            token_id: _within("logit_bias", bias, -100, 100)
            for token_id, bias in message.logit_bias.items()
        },
        num_logprobs=None
        if num_logprobs is None
        else int(_within("num_logprobs", num_logprobs, 0, _MAX_LOGPROBS)),
        prompt_logprobs=message.prompt_logprobs,
        structured=to_structured(message.structured) if has("structured") else None,
        min_p=_within("min_p", message.min_p, 0, 1),
        repetition_penalty=repetition_penalty,
        min_tokens=_min_tokens(message, max_tokens),
    )


def _min_tokens(message: pb.SamplingParameters, max_tokens: int) -> int:
    if message.HasField("max_tokens") and message.min_tokens > message.max_tokens:
        raise BadRequest(
            f"min_tokens is {message.min_tokens}, more than max_tokens, {message.max_tokens}.",
            param="min_tokens",
        )
    return min(message.min_tokens, max_tokens)


def to_response(delta: Delta, num_prompt_tokens: int | None) -> pb.GenerateResponse:
    """`num_prompt_tokens` in the first message only."""
    response = pb.GenerateResponse(
        token_ids=delta.token_ids,
        text=delta.text,
        reasoning=delta.reasoning,
        tool_calls=[
            pb.ToolCallDelta(
                index=call.index, id=call.call_id, name=call.name, arguments=call.arguments
            )
            for call in delta.tool_calls
        ],
        logprobs=[_position(position) for position in delta.logprobs],
        prompt_logprobs=[_position(position) for position in delta.prompt_logprobs],
        finish=to_finish(delta.finish) if delta.finish else None,
    )
    if num_prompt_tokens is not None:
        response.num_prompt_tokens = num_prompt_tokens
    return response


def to_finish(finish: Finish) -> pb.Finish:
    return pb.Finish(
        reason=_REASONS[finish.reason],
        stop_string=finish.stop_string,
        num_prompt_tokens=finish.num_prompt_tokens,
        num_generated_tokens=finish.num_generated_tokens,
        num_cached_tokens=finish.num_cached_tokens,
    )


def _position(position: PositionLogprobs) -> pb.PositionLogprobs:
    return pb.PositionLogprobs(
        chosen=_token(position.chosen), top=[_token(token) for token in position.top]
    )


def _token(token: TokenLogprob) -> pb.TokenLogprob:
    return pb.TokenLogprob(
        token_id=token.token_id, text=token.text, logprob=token.logprob, rank=token.rank
    )
