"""Medians of paired measurements, with an interval that assumes nothing about their shape."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Median:
    """`low` and `high` hold the true median between them in 95 of 100 cases.

    With five values or fewer these are the smallest and the largest, which say less.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Median:
        ordered = sorted(values)
        outside = outside_each_end(len(ordered))
        return cls(statistics.median(ordered), ordered[outside], ordered[-1 - outside])

    def text(self, digits: int = 2) -> str:
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def outside_each_end(count: int) -> int:
    """How many of `count` ordered values may lie outside at each end: the sign test."""
    tail = 0.0
    for outside in range(count):
        tail += math.comb(count, outside) / 2**count
        if tail > (1 - _CONFIDENCE) / 2:
            return max(outside - 1, 0)
    return 0
