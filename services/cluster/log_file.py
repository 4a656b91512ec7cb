"""The end of a log file, and what is written to it from then on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path

_DEFAULT_LINES = 200
_MAX_LINES = 10_000
_POLL_SECONDS = 0.5


async def read_log(
    place: Path, num_lines: int, *, follow: bool = False
) -> AsyncGenerator[list[str]]:
    """The last lines at once, 200 for 0 of them; with `follow` then new ones until it is closed.

    A file that is not there yet, or was put aside for a new one, is looked for again.
    """
    num_lines = min(num_lines or _DEFAULT_LINES, _MAX_LINES)
    lines, position = await asyncio.to_thread(_tail, place, num_lines)
    yield lines
    while follow:
        await asyncio.sleep(_POLL_SECONDS)
        new, position = await asyncio.to_thread(_since, place, position)
        if new:
            yield new


def _tail(place: Path, num_lines: int) -> tuple[list[str], int]:
    if not place.exists():
        return [], 0
    with place.open(errors="replace") as file:
        lines = deque((line.rstrip("\n") for line in file), maxlen=num_lines)
        return list(lines), place.stat().st_size


def _since(place: Path, position: int) -> tuple[list[str], int]:
    """Whole lines after `position`; from the start when the file was rotated and is shorter."""
    if not place.exists():
        return [], 0
    with place.open("rb") as file:
        file.seek(position if place.stat().st_size >= position else 0)
        start = file.tell()
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    return whole.decode(errors="replace").splitlines(), start + len(whole)
