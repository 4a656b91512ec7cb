from __future__ import annotations

import pytest

from services.cluster.runs import EvaluationVerdict, Interval
from services.finetune.evaluation.measures import (
    FileDifference,
    bootstrap,
    edit_similarity,
    is_better,
    verdict,
)

BETTER, WORSE = EvaluationVerdict.BETTER, EvaluationVerdict.WORSE
NO_DIFFERENCE = EvaluationVerdict.NO_DIFFERENCE
TOO_LITTLE = EvaluationVerdict.TOO_LITTLE_DATA


def interval(low: float, high: float, num_files: int = 10) -> Interval:
    return Interval(mean=(low + high) / 2, low=low, high=high, num_files=num_files)


@pytest.mark.parametrize(
    ("one", "other", "similarity"),
    [("", "", 1.0), ("abc", "abc", 1.0), ("abc", "", 0.0), ("abcd", "abxd", 0.75)],
)
def test_edit_similarity(one: str, other: str, similarity: float) -> None:
    assert edit_similarity(one, other) == pytest.approx(similarity)


def test_files_that_all_agree_have_a_narrow_interval() -> None:
    found = bootstrap({str(n): FileDifference(0.5, 1) for n in range(8)}, seed=0)
    assert found is not None
    assert (found.mean, found.low, found.high, found.num_files) == pytest.approx((0.5, 0.5, 0.5, 8))


def test_the_mean_is_over_cases_and_the_interval_holds_it() -> None:
    found = bootstrap({"a": FileDifference(3.0, 3), "b": FileDifference(-1.0, 1)}, seed=0)
    assert found is not None
    assert found.mean == pytest.approx(0.5)
    assert found.low <= found.mean <= found.high


def test_the_same_seed_says_the_same_and_nothing_says_nothing() -> None:
    differences = {str(n): FileDifference(n % 3 - 1.0, 1) for n in range(9)}
    assert bootstrap(differences, 1) == bootstrap(differences, 1)
    assert bootstrap({}, 1) is None


def test_noise_is_called_no_difference_about_as_often_as_promised() -> None:
    """Half of the files up, half down by the same: 0 is inside."""
    found = bootstrap({str(n): FileDifference((-1.0) ** n, 1) for n in range(20)}, seed=3)
    assert found is not None
    assert found.low < 0 < found.high


@pytest.mark.parametrize(
    ("edit", "num_cases", "expected"),
    [
        (interval(0.01, 0.1), 50, BETTER),
        (interval(-0.1, -0.01), 50, WORSE),
        (interval(-0.1, 0.1), 50, NO_DIFFERENCE),
        (interval(0.0, 0.1), 50, NO_DIFFERENCE),
        (interval(0.01, 0.1, num_files=4), 50, TOO_LITTLE),
        (interval(0.01, 0.1), 19, TOO_LITTLE),
        (None, 50, TOO_LITTLE),
    ],
)
def test_the_verdict_is_the_intervals(
    edit: Interval | None, num_cases: int, expected: EvaluationVerdict
) -> None:
    assert verdict(edit, num_cases) is expected


@pytest.mark.parametrize(
    ("found", "loss", "better"),
    [
        (BETTER, interval(0.1, 0.2), True),
        (NO_DIFFERENCE, interval(-0.2, -0.1), True),
        (NO_DIFFERENCE, interval(-0.2, 0.1), False),
        (NO_DIFFERENCE, None, False),
        (WORSE, interval(-0.2, -0.1), False),
        (TOO_LITTLE, interval(-0.2, -0.1), None),
        (None, None, None),
    ],
)
def test_a_loss_that_fell_for_sure_decides_where_completions_do_not(
    found: EvaluationVerdict | None, loss: Interval | None, better: bool | None
) -> None:
    assert is_better(found, loss) is better
