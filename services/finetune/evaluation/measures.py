"""What an evaluation measures and what it makes of it: pure functions on figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from services.cluster.runs import EvaluationVerdict, Interval

LEAST_FILES = 5
LEAST_CASES = 20
_NUM_RESAMPLES = 2000
_TAIL = 2.5  # percent on each side of a 95 % interval


@dataclass(frozen=True)
class FileDifference:
    """Candidate minus base, summed over what a file has `weight` of: cases, or tokens."""

    total: float
    weight: float


def edit_similarity(one: str, other: str) -> float:
    """1 - Levenshtein distance / longer length, in characters; 1 for two empty texts."""
    return float(Levenshtein.normalized_similarity(one, other))


def bootstrap(differences: Mapping[str, FileDifference], seed: int) -> Interval | None:
    """Mean, and its 95 % interval over files drawn again and again with replacement.

    Files, not cases: cases of one file are alike, and would make an interval too narrow (Efron and
    Tibshirani, "An Introduction to the Bootstrap", chapter 8). None without any weight.
    """
    totals = np.array([difference.total for difference in differences.values()])
    weights = np.array([difference.weight for difference in differences.values()])
    if not weights.sum():
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(totals), (_NUM_RESAMPLES, len(totals)))
    means = totals[drawn].sum(1) / np.maximum(weights[drawn].sum(1), 1e-12)
    low, high = np.percentile(means, [_TAIL, 100 - _TAIL])
    return Interval(
        mean=float(totals.sum() / weights.sum()),
        low=float(low),
        high=float(high),
        num_files=len(totals),
    )


def verdict(edit: Interval | None, num_cases: int) -> EvaluationVerdict:
    """What the primary measure, the difference of edit similarity, says."""
    if edit is None or edit.num_files < LEAST_FILES or num_cases < LEAST_CASES:
        return EvaluationVerdict.TOO_LITTLE_DATA
    if edit.low > 0:
        return EvaluationVerdict.BETTER
    if edit.high < 0:
        return EvaluationVerdict.WORSE
    return EvaluationVerdict.NO_DIFFERENCE


def is_better(found: EvaluationVerdict | None, loss: Interval | None) -> bool | None:
    """Whether the candidate should answer in place of the base; None when nobody can say.

    Also with no difference of completions that can be seen, when the loss of held-out files has
    fallen for sure: it sees small progress long before a few hundred completions do.
    """
    if found in (None, EvaluationVerdict.TOO_LITTLE_DATA):
        return None
    if found is EvaluationVerdict.BETTER:
        return True
    return found is EvaluationVerdict.NO_DIFFERENCE and loss is not None and loss.high < 0


def percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else 0.0
