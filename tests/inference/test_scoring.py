from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.inference.scoring import Window, windows


@given(num_tokens=st.integers(0, 500), window_tokens=st.integers(2, 60))
def test_each_token_but_the_first_is_counted_exactly_once(
    num_tokens: int, window_tokens: int
) -> None:
    found = windows(num_tokens, window_tokens)
    counted = [i for w in found for i in range(w.start + w.counted, w.end)]
    assert counted == list(range(1, num_tokens))
    for window in found:
        assert 2 <= window.end - window.start <= window_tokens
        assert window.counted >= 1  # nothing predicts a window's first token


@given(num_tokens=st.integers(2, 500), window_tokens=st.integers(4, 60))
def test_a_token_is_counted_with_half_a_window_before_it(
    num_tokens: int, window_tokens: int
) -> None:
    for window in windows(num_tokens, window_tokens)[1:]:
        assert window.counted >= window_tokens // 2


def test_what_fits_is_one_window() -> None:
    assert windows(100, 100) == [Window(0, 100, 1)]
    assert windows(1, 100) == windows(0, 100) == []
