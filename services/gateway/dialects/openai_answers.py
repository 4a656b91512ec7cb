"""OpenAI's answers; `caps_version` in every object lets plugins see a new adapter at once."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.generation import Usage
from services.gateway.live_answer import DONE, event
from services.gateway.routing import Target

_REASONS = {
    pb.FINISH_REASON_STOP: "stop",
    pb.FINISH_REASON_LENGTH: "length",
    pb.FINISH_REASON_TOOL_CALLS: "tool_calls",
    pb.FINISH_REASON_ABORTED: "abort",
}


def finish_reason(message: pb.GenerateResponse) -> str | None:
    if not message.HasField("finish"):
        return None
    return _REASONS.get(message.finish.reason, "stop")


@dataclass(frozen=True)
class Envelope:
    """The fields that every object of one answer repeats. `prefix` is that of its id."""

    target: Target
    caps_version: int
    prefix: str
    kind: str
    answer_id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    def wrap(self, choices: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
        replica = self.target.speaker
        return {
            "id": f"{self.prefix}-{self.answer_id}",
            "object": self.kind,
            "created": self.created,
            "model": self.target.name,
            "system_fingerprint": f"{replica.engine}-{replica.engine_version}",
            "choices": list(choices),
            **more,
            "caps_version": self.caps_version,
        }


async def chunks(
    envelope: Envelope, choices: AsyncGenerator[dict[str, Any]], usage: Usage, with_usage: bool
) -> AsyncGenerator[bytes]:
    """A streamed answer: an event for each choice, then the usage if it is wanted, then the end."""
    more = {"usage": None} if with_usage else {}
    async with aclosing(choices) as found:
        async for choice in found:
            yield event(envelope.wrap([choice], **more))
    if with_usage:
        yield event(envelope.wrap([], usage=usage.as_dict()))
    yield DONE


def completion_logprobs(
    positions: Sequence[pb.PositionLogprobs], num_top: int, offset: int
) -> dict[str, Any]:
    """The old completions form. `offset`: characters of the answer before the first token."""
    tokens = [position.chosen.text for position in positions]
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token)
    return {
        "tokens": tokens,
        "token_logprobs": [_logprob(position.chosen) for position in positions],
        "top_logprobs": [
            {top.text: _logprob(top) for top in position.top[:num_top]} or None
            for position in positions
        ]
        if num_top
        else None,
        "text_offset": offsets,
    }


def chat_logprobs(positions: Sequence[pb.PositionLogprobs], num_top: int) -> dict[str, Any]:
    def entry(token: pb.TokenLogprob) -> dict[str, Any]:
        return {
            "token": token.text,
            "logprob": _logprob(token),
            "bytes": list(token.text.encode()),
        }

    return {
        "content": [
            {
                **entry(position.chosen),
                "top_logprobs": [entry(top) for top in position.top[:num_top]],
            }
            for position in positions
        ],
        "refusal": None,
    }


def _logprob(token: pb.TokenLogprob) -> float | None:
    return token.logprob if token.HasField("logprob") else None
