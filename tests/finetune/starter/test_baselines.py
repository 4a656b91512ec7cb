import numpy as np
import pytest

from services.finetune.starter.baselines import Trigram, unigram_bits, xz_bits


def test_trigram_is_a_distribution() -> None:
    ids = np.random.default_rng(0).integers(0, 7, 500).astype(np.uint16)
    model = Trigram(ids, 7)
    for context in ((1, 2), (3, 3), (0, 6)):
        total = sum(2 ** -model.bits(np.array([*context, last])) for last in range(7))
        assert total == pytest.approx(1.0, abs=1e-6)


def test_trigram_learns_a_cycle() -> None:
    model = Trigram(np.tile(np.arange(5), 200), 6)
    assert model.bits(np.arange(3)) < 0.05
    assert model.bits(np.array([0, 1, 4])) > 5


def test_unigram_of_even_bytes_is_eight_bits() -> None:
    every = bytes(range(256)) * 1000
    assert unigram_bits([every], [b"abc"]) == pytest.approx(24.0)


def test_xz_counts_each_file() -> None:
    assert xz_bits([b"a" * 1000, b"a" * 1000]) == 2 * xz_bits([b"a" * 1000])
