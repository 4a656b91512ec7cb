"""Baselines that the model is reported beside: a byte unigram, xz of each file, a 3-gram model of
BPE tokens.
"""

from __future__ import annotations

import lzma
from dataclasses import dataclass

import numpy as np

DISCOUNT = 0.75


def unigram_bits(train: list[bytes], heldout: list[bytes]) -> float:
    """Bits of ``heldout`` under the byte frequencies of ``train`` (add one)."""
    counts = np.ones(256)
    for text in train:
        counts += np.bincount(np.frombuffer(text, np.uint8), minlength=256)
    bits = -np.log2(counts / counts.sum())
    return float(sum(bits[np.frombuffer(text, np.uint8)].sum() for text in heldout))


def xz_bits(heldout: list[bytes]) -> float:
    """Bits of every file compressed alone by xz at its strongest, container included."""
    return float(
        sum(8 * len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)) for text in heldout)
    )


@dataclass(frozen=True)
class Counts:
    """Sorted distinct keys with how often each occurs."""

    keys: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, keys: np.ndarray) -> Counts:
        return cls(*np.unique(keys, return_counts=True))

    def get(self, wanted: np.ndarray) -> np.ndarray:
        """The count of each wanted key, 0 where it never occurs."""
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, self.counts[place], 0).astype(np.float64)


class Trigram:
    """Interpolated Kneser-Ney of order 3 over token ids, one discount (Chen and Goodman 1999,
    section 2.7).
    """

    def __init__(self, ids: np.ndarray, vocab_size: int) -> None:
        self._size = vocab_size
        ids = ids.astype(np.int64)
        self._triples = Counts.of((ids[:-2] * vocab_size + ids[1:-1]) * vocab_size + ids[2:])
        pairs_of_triples = self._triples.keys // vocab_size
        self._pair_total = Counts.of(ids[:-2] * vocab_size + ids[1:-1])
        self._pair_types = Counts.of(pairs_of_triples)
        self._pair_continuations = Counts.of(self._triples.keys % vocab_size**2)
        middles = self._triples.keys // vocab_size % vocab_size
        self._middle_total = np.bincount(middles, minlength=vocab_size).astype(np.float64)
        self._middle_types = np.bincount(
            self._pair_continuations.keys // vocab_size, minlength=vocab_size
        )
        lasts = np.bincount(self._pair_continuations.keys % vocab_size, minlength=vocab_size) + 1.0
        self._unigram = lasts / lasts.sum()

    def bits(self, ids: np.ndarray) -> float:
        """Bits of ids[2:], each given the two before it."""
        ids = ids.astype(np.int64)
        first, second, third = ids[:-2], ids[1:-1], ids[2:]
        pair = second * self._size + third
        total = np.maximum(self._middle_total[second], 1.0)
        back = np.where(
            self._middle_total[second] > 0, DISCOUNT * self._middle_types[second] / total, 1.0
        )
        seen = np.maximum(self._pair_continuations.get(pair) - DISCOUNT, 0.0) / total
        bigram = seen + back * self._unigram[third]
        context = first * self._size + second
        context_total = self._pair_total.get(context)
        safe = np.maximum(context_total, 1.0)
        back = np.where(context_total > 0, DISCOUNT * self._pair_types.get(context) / safe, 1.0)
        seen = np.maximum(self._triples.get(context * self._size + third) - DISCOUNT, 0.0) / safe
        return float(-np.log2(seen + back * bigram).sum())
