"""Anthropic's answers: a message of blocks, whole or as the events that build it, and errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from services.cluster.errors import HearthError, Internal
from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.dialects.anthropic_shapes import AnthropicProblem
from services.gateway.live_answer import event
from services.gateway.problems import ProblemForm, beside

_ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
# Clients that would drop thinking without one give it back; nobody looks at it.
_SIGNATURE = "unsigned"
_FIELDS = {"text": "text", "thinking": "thinking", "tool_use": "partial_json"}
_DELTAS = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}

Kind = Literal["text", "thinking", "tool_use"]


def anthropic_problem(error: HearthError, caps_version: int) -> dict[str, Any]:
    default = "api_error" if error.http_status >= 500 else "invalid_request_error"
    kind = _ERROR_TYPES.get(error.http_status, default)
    return {
        "type": "error",
        "error": {"type": kind, "message": error.message},
        **beside(error, caps_version),
    }


# 529 is Anthropic's word for what may be asked again soon.
ANTHROPIC_PROBLEMS = ProblemForm(anthropic_problem, {503: 529}, AnthropicProblem)


@dataclass
class _Block:
    """Of a call `pieces` are its arguments. What is blank is never told: Anthropic refuses it."""

    kind: Kind
    call: pb.ToolCall = field(default_factory=pb.ToolCall)
    pieces: list[str] = field(default_factory=list)
    is_blank: bool = True
    num_told: int = 0

    def add(self, piece: str) -> None:
        self.pieces.append(piece)
        self.is_blank = self.is_blank and not piece.strip()

    def untold(self) -> str:
        start, self.num_told = self.num_told, len(self.pieces)
        return "".join(self.pieces[start:])

    def as_dict(self, content: Any) -> dict[str, Any]:
        if self.kind == "tool_use":
            call = {"id": self.call.id, "name": self.call.name}
            return {"type": self.kind, **call, "input": content}
        signature = {"signature": _SIGNATURE} if self.kind == "thinking" else {}
        return {"type": self.kind, self.kind: content, **signature}

    def arguments(self) -> dict[str, Any] | None:
        """None when they are no JSON object."""
        try:
            found = msgspec.json.decode("".join(self.pieces).strip() or "{}")
        except (msgspec.DecodeError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


class Said:
    """What an answer says, in blocks. `finish` is set by its last message."""

    def __init__(self) -> None:
        self.finish: pb.Finish | None = None
        self._blocks: list[_Block] = []
        self._calls: dict[int, _Block] = {}
        # Of the events: the block that is told, and its index in the answer.
        self._place = 0
        self._index = 0
        self._is_begun = False

    def add(self, message: pb.GenerateResponse) -> None:
        """Raises Internal for a finished call whose arguments are no JSON object."""
        if message.reasoning:
            self._last("thinking").add(message.reasoning)
        if message.text:
            self._last("text").add(message.text)
        for delta in message.tool_calls:
            block = self._calls.get(delta.index)
            if block is None:
                block = self._calls[delta.index] = _Block("tool_use", is_blank=False)
                self._blocks.append(block)
            block.call.id = delta.id or block.call.id
            block.call.name = delta.name or block.call.name
            if delta.arguments:
                block.add(delta.arguments)
        if message.HasField("finish"):
            self.finish = message.finish
            self._check_calls()
            if all(block.is_blank for block in self._blocks):  # clients expect one
                self._blocks = [_Block("text", is_blank=False)]

    def _last(self, kind: Kind) -> _Block:
        if not self._blocks or self._blocks[-1].kind != kind:
            self._blocks.append(_Block(kind))
        return self._blocks[-1]

    def content(self) -> list[dict[str, Any]]:
        """The whole answer's. A call that was cut off is left out, lest somebody makes it."""
        found = []
        for block in self._blocks:
            content = block.arguments() if block.kind == "tool_use" else "".join(block.pieces)
            if content is not None and not block.is_blank:
                found.append(block.as_dict(content))
        return found

    def _check_calls(self) -> None:
        broken = self._broken_calls()
        if broken and not self._is_cut:
            raise Internal(
                f"The model called {broken[0].call.name} with arguments that are not a JSON object."
                " Ask again."
            )

    def _broken_calls(self) -> list[_Block]:
        return [block for block in self._calls.values() if block.arguments() is None]

    @property
    def _is_cut(self) -> bool:
        finish = self.finish
        return finish is not None and bool(
            finish.reason == pb.FINISH_REASON_LENGTH or finish.stop_string
        )

    def stop(self) -> dict[str, str | None]:
        """Why the answer ended. A call that is whole comes before the string that ended it."""
        finish = self.finish or pb.Finish()
        reason, sequence = "end_turn", None
        if finish.reason == pb.FINISH_REASON_LENGTH:
            reason = "max_tokens"
        elif self._calls and not self._broken_calls():
            reason = "tool_use"
        elif finish.stop_string:
            reason, sequence = "stop_sequence", finish.stop_string
        return {"stop_reason": reason, "stop_sequence": sequence}

    def usage(self) -> dict[str, int]:
        finish = self.finish or pb.Finish()
        return usage(
            finish.num_prompt_tokens, finish.num_cached_tokens, finish.num_generated_tokens
        )

    def untold(self) -> Iterator[bytes]:
        """The events of what came since the last call, one block after the other.

        A block of text ends when another begins. Arguments of an earlier call may come until the
        answer ends, so later ones wait.
        """
        while self._place < len(self._blocks):
            block = self._blocks[self._place]
            if not self._is_begun and not block.is_blank:
                self._is_begun = True
                empty = block.as_dict({} if block.kind == "tool_use" else "")
                if block.kind == "thinking":
                    empty["signature"] = ""
                yield self._event("content_block_start", content_block=empty)
            if self._is_begun and (piece := block.untold()):
                yield self._delta(_DELTAS[block.kind], _FIELDS[block.kind], piece)
            is_last = self._place == len(self._blocks) - 1
            if self.finish is None and (is_last or block.kind == "tool_use"):
                return
            yield from self._end(block)

    def _end(self, block: _Block) -> Iterator[bytes]:
        if self._is_begun:
            if block.kind == "thinking":
                yield self._delta("signature_delta", "signature", _SIGNATURE)
            yield self._event("content_block_stop")
            self._index += 1
        self._place += 1
        self._is_begun = False

    def _delta(self, kind: str, name: str, value: str) -> bytes:
        return self._event("content_block_delta", delta={"type": kind, name: value})

    def _event(self, name: str, **fields: Any) -> bytes:
        return named_event(name, index=self._index, **fields)


def named_event(name: str, **fields: Any) -> bytes:
    """Anthropic's say their name twice."""
    return event({"type": name, **fields}, name)


def usage(num_prompt: int, num_cached: int, num_generated: int) -> dict[str, int]:
    """What the prefix cache had is not counted among the input tokens."""
    return {
        "input_tokens": num_prompt - num_cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": num_cached,
        "output_tokens": num_generated,
    }
