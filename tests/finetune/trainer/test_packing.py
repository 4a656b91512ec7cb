from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.finetune.trainer.examples import NO_LOSS, Example
from services.finetune.trainer.packing import pack

PAD = 0
CONTEXT = 16
EXAMPLES = st.lists(st.integers(1, CONTEXT), max_size=60).map(
    lambda sizes: [Example([n + 1] * s, [NO_LOSS] + [n + 1] * (s - 1)) for n, s in enumerate(sizes)]
)


@given(EXAMPLES)
def test_every_example_is_whole_in_exactly_one_sequence(examples: list[Example]) -> None:
    found: list[list[int]] = []
    for sequence in pack(examples, CONTEXT, PAD):
        assert len(sequence.ids) == len(sequence.labels) == len(sequence.positions) == CONTEXT
        starts = [i for i in range(CONTEXT) if sequence.positions[i] == 0]
        for start, end in zip(starts, [*starts[1:], CONTEXT], strict=True):
            piece = [int(i) for i in sequence.ids[start:end]]
            assert [int(p) for p in sequence.positions[start:end]] == list(range(end - start))
            if piece[0] != PAD:
                found.append(piece)
                assert sequence.labels[start] == NO_LOSS
            else:
                assert set(sequence.labels[start:end].tolist()) == {NO_LOSS}
    assert sorted(found) == sorted(example.ids for example in examples)


def test_sequences_are_filled() -> None:
    examples = [Example([1] * 8, [1] * 8) for _ in range(40)]
    assert len(list(pack(examples, CONTEXT, PAD))) == 20
