from __future__ import annotations

import pytest

from services.inference.weights.pace import Pace
from services.inference.weights.words import amount, being_downloaded, time_left


def test_the_speed_is_of_what_was_fetched() -> None:
    pace = Pace(10_000)
    pace.add(5_000, 0.0, fetched=False)
    assert pace.progress("a").remaining_seconds is None
    for second in range(3):
        pace.add(500, float(second), fetched=True)
    progress = pace.progress("a")
    assert (progress.num_done, progress.num_total, progress.fraction) == (6_500, 10_000, 0.65)
    assert progress.remaining_seconds == pytest.approx(7.0)


def test_the_speed_is_of_the_last_seconds() -> None:
    pace = Pace(10**9)
    for second in range(100):
        pace.add(10 if second < 50 else 1000, float(second), fetched=True)
    assert pace.bytes_per_second() == pytest.approx(1000)


def test_sentences() -> None:
    told = being_downloaded("a/b", 3_100_000_000, 7_200_000_000, 240.0)
    assert told == "Weights of a/b are being downloaded: 3.1 of 7.2 GB, about 4 minutes left."
    assert being_downloaded("m", 0, 100) == "Weights of m are being downloaded: 0 of 100 bytes."
    assert being_downloaded("m", 0, 0) == "Weights of m are being downloaded."
    assert amount(400_000, 2_000_000) == "0.4 of 2.0 MB"
    assert [time_left(s) for s in (5, 61, 3500, 7200)] == [
        "less than a minute",
        "about 1 minute",
        "about 58 minutes",
        "about 2 hours",
    ]
