"""An answer that ends where its server does not know that it should: at a token of a family."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.providers.wire import WireAnswer


class CutAnswer(WireAnswer):
    """What comes after the first of `ends` is left out; each is a token, so it comes in one piece.

    The rest is read all the same: only its last event tells how many tokens there were.
    """

    def __init__(self, answer: WireAnswer, ends: Collection[str]) -> None:
        self._answer = answer
        self._ends = ends
        self._is_cut = False

    @property
    def is_over(self) -> bool:
        return self._answer.is_over

    @property
    def is_said(self) -> bool:
        return self._answer.is_said

    def read(self, event: dict[str, Any]) -> Iterable[pb.GenerateResponse]:
        for message in self._answer.read(event):
            yield from self._before_the_end(message)

    def end(self) -> pb.GenerateResponse:
        last = self._answer.end()
        if self._is_cut:
            last.finish.reason = pb.FINISH_REASON_STOP
        return last

    def _before_the_end(self, message: pb.GenerateResponse) -> Iterator[pb.GenerateResponse]:
        if self._is_cut:
            return
        found = [at for end in self._ends if (at := message.text.find(end)) >= 0]
        if not found:
            yield message
            return
        self._is_cut = True
        if text := message.text[: min(found)]:
            yield pb.GenerateResponse(text=text)
