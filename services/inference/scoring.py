"""Which tokens of a long text are scored in which window."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Tokens `start` to `end` of the text; those from `counted` of the window on are counted."""

    start: int
    end: int
    counted: int


def windows(num_tokens: int, window_tokens: int) -> list[Window]:
    """Windows that overlap by half; every token but the first is counted exactly once.

    A token is counted where it has the longer context: in the second half of a window, except in
    the first window, of which all but the text's first token count.
    """
    if num_tokens < 2:
        return []
    found = [Window(0, min(num_tokens, window_tokens), 1)]
    step = max(window_tokens // 2, 1)
    while found[-1].end < num_tokens:
        last_end = found[-1].end
        start = found[-1].start + step
        end = min(start + window_tokens, num_tokens)
        found.append(Window(start, end, last_end - start))
    return found
