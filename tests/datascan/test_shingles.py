from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from services.datascan import shingles
from tests.datascan.archives import program

texts = st.text("ab (\n", max_size=200)


@given(texts, texts)
def test_similarity_is_the_jaccard_index(one: str, other: str) -> None:
    first, second = shingles.shingles(one), shingles.shingles(other)
    alike = shingles.similarity(first, second)
    assert alike == shingles.similarity(second, first)
    assert alike == len(first & second) / len(first | second)
    assert shingles.similarity(first, first) == 1


def test_texts_that_are_alike_share_a_band_and_others_do_not() -> None:
    for seed in range(30):
        lines = program(seed, 60).splitlines()
        alike = "\n".join([*lines[:-3], *program(seed + 1000, 3).splitlines()])
        first = shingles.shingles("\n".join(lines))
        second = shingles.shingles(alike)
        assert shingles.similarity(first, second) > 0.7
        assert set(shingles.bands(first)) & set(shingles.bands(second))
        other = shingles.bands(shingles.shingles(program(seed + 2000, 60)))
        assert not set(shingles.bands(first)) & set(other)


def test_bands_are_the_same_in_another_process() -> None:
    """A later attempt compares with what an earlier one stored; hash() differs between them."""
    code = (
        "from services.datascan import shingles as s; from tests.datascan.archives import program;"
        "print(s.bands(s.shingles(program(1))))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(shingles.bands(shingles.shingles(program(1))))
