"""Which sequences an optimizer step learns from: a function of files, seed and step alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.finetune.files import DatasetFile
from services.finetune.trainer import packing
from services.finetune.trainer.examples import ExampleMaker


@dataclass(frozen=True)
class Batch:
    """`num_epochs`: passes over train when the step is done."""

    sequences: Sequence[packing.Sequence]
    num_epochs: float


class Batches:
    """Every epoch draws new cuts and a new order. Nothing but the step is kept to resume."""

    def __init__(
        self,
        maker: ExampleMaker,
        files: Sequence[DatasetFile],
        context_tokens: int,
        pad_id: int,
        seed: int,
    ) -> None:
        self._maker = maker
        self._files = files
        self._context_tokens = context_tokens
        self._pad_id = pad_id
        self._seed = seed

    def epoch(self, number: int) -> list[packing.Sequence]:
        """Sequences of one pass over the files."""
        rng = random.Random(f"{self._seed}/{number}")
        examples = self._maker.examples(self._files, rng)
        sequences = list(packing.pack(examples, self._context_tokens, self._pad_id))
        rng.shuffle(sequences)
        return [sequence for sequence in sequences if sequence.num_tokens]

    def after(self, step: int, batch_size: int) -> Iterator[Batch]:
        """Endless batches, beginning with that of `step` + 1."""
        num_to_skip = step * batch_size
        held: list[packing.Sequence] = []
        number = 0
        while True:
            sequences = self.epoch(number)
            if not sequences:
                return
            num_skipped = min(num_to_skip, len(sequences))
            num_to_skip -= num_skipped
            for place, sequence in enumerate(sequences[num_skipped:], num_skipped + 1):
                held.append(sequence)
                if len(held) == batch_size:
                    yield Batch(held, number + place / len(sequences))
                    held = []
            number += 1
