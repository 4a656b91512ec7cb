"""Examples into sequences of one length, none cut and none seeing another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from services.finetune.trainer.examples import NO_LOSS, Example

_NUM_OPEN = 16  # sequences that are filled at the same time

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sequence:
    """Arrays of `context_tokens`. `positions` begin at 0 with each example: attention ends there.

    Padding is one more piece at the end, without loss.
    """

    ids: Ids
    labels: Ids
    positions: Ids

    @property
    def num_tokens(self) -> int:
        """Those that are learned."""
        return int((self.labels != NO_LOSS).sum())


@dataclass
class _Open:
    """A sequence that is being filled."""

    room: int
    examples: list[Example] = field(default_factory=list)

    def add(self, example: Example) -> None:
        self.examples.append(example)
        self.room -= len(example.ids)


def pack(examples: Iterable[Example], context_tokens: int, pad_id: int) -> Iterator[Sequence]:
    """Each example goes where it fills best; the fullest sequence is closed when none has room."""
    opened: list[_Open] = []
    for example in examples:
        fitting = [place for place in opened if place.room >= len(example.ids)]
        if fitting:
            min(fitting, key=lambda place: place.room).add(example)
            continue
        if len(opened) == _NUM_OPEN:
            fullest = min(opened, key=lambda place: place.room)
            opened.remove(fullest)
            yield _close(fullest, context_tokens, pad_id)
        opened.append(_Open(context_tokens))
        opened[-1].add(example)
    for place in opened:
        yield _close(place, context_tokens, pad_id)


def _close(place: _Open, context_tokens: int, pad_id: int) -> Sequence:
    ids = np.full(context_tokens, pad_id, dtype=np.int64)
    labels = np.full(context_tokens, NO_LOSS, dtype=np.int64)
    positions = np.arange(context_tokens, dtype=np.int64)
    begin = 0
    for example in place.examples:
        end = begin + len(example.ids)
        ids[begin:end] = example.ids
        labels[begin:end] = example.labels
        positions[begin:] = np.arange(context_tokens - begin)
        begin = end
    positions[begin:] = np.arange(context_tokens - begin)
    return Sequence(ids, labels, positions)
