import random

import pytest

from services.finetune.starter.noise import KINDS, roc_auc

CODE = "def f(x):\n    return x + 1\n\n\n" * 30


def test_auc_of_apart_equal_and_reversed_scores() -> None:
    assert roc_auc([1.0, 2.0], [3.0, 4.0]) == 1.0
    assert roc_auc([3.0, 4.0], [1.0, 2.0]) == 0.0
    assert roc_auc([1.0, 1.0], [1.0, 1.0]) == 0.5


def test_auc_counts_pairs() -> None:
    rng = random.Random(0)
    low = [float(rng.randint(0, 9)) for _ in range(40)]
    high = [float(rng.randint(3, 12)) for _ in range(30)]
    pairs = [(h > c) + 0.5 * (h == c) for h in high for c in low]
    assert roc_auc(low, high) == pytest.approx(sum(pairs) / len(pairs))


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_as_long_as_the_code_and_repeatable(kind: str) -> None:
    first = KINDS[kind](CODE, random.Random(1))
    assert first == KINDS[kind](CODE, random.Random(1))
    assert abs(len(first) - len(CODE)) <= 0.2 * len(CODE)
    assert first != CODE
