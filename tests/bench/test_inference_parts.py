"""The parts of the bench of inference that can be wrong without anybody seeing it."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.bench.paired import Median, outside_each_end
from tests.bench.prompts import NUM_DISTINCT, PROMPT_TOKENS, prompts
from tests.bench.token_frames import Frame, FrameReader


@pytest.mark.parametrize(
    ("count", "outside"), [(1, 0), (5, 0), (6, 0), (9, 1), (12, 2), (20, 5), (40, 13)]
)
def test_the_interval_is_that_of_the_sign_test(count: int, outside: int) -> None:
    """From tables of the binomial distribution."""
    assert outside_each_end(count) == outside


def test_a_median_comes_with_its_interval() -> None:
    assert Median.of([9.0, 1, 2, 3, 4, 5, 6, 7, 8]) == Median(5, 2, 8)
    assert Median(0.5, 0.25, 1).text() == "0.50 [0.25, 1.00]"


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_frames_are_read_however_they_arrive(piece: int) -> None:
    frames = [Frame(7, [1, 2, 70_000]), Frame(8, []), Frame(7, [3], last=True)]
    data = b"".join(frame.encode() for frame in frames)
    reader = FrameReader()
    pieces = (data[start : start + piece] for start in range(0, len(data), piece))
    found = [frame for part in pieces for frame in reader.feed(part)]
    assert [Frame(f.number, list(f.token_ids), f.last) for f in found] == frames


def test_there_are_prompts_enough_and_no_two_begin_alike() -> None:
    """For more than 12 rounds."""
    asked = list(islice(prompts(), 2000))
    assert len({tuple(prompt[:NUM_DISTINCT]) for prompt in asked}) == 2000
    assert {len(prompt) for prompt in asked} == {PROMPT_TOKENS}
