"""Cursors in held-out files: what an editor would ask, and what the file really says."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.finetune.files import DatasetFile

# About what an editor sends. Twice as much costs a CPU twice the time for each of the cases.
_PREFIX_CHARS = 2048
_SUFFIX_CHARS = 1024
_LEAST_MIDDLE_CHARS = 3  # a bracket says nothing about a model
_MULTI_LINE_SHARE = 0.4
_MAX_MORE_LINES = 3
_MAX_TOKENS = 160
_NUM_TRIES = 4
_LINE = re.compile(r"^[ \t]*(\S.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """`prefix + middle + suffix` is a part of the file again."""

    path: str
    language: str
    prefix: str
    middle: str
    suffix: str

    @property
    def num_lines(self) -> int:
        return self.middle.count("\n") + 1

    @property
    def max_tokens(self) -> int:
        """Enough for the middle, even at two characters a token."""
        return min(max(len(self.middle) // 2 + 8, 16), _MAX_TOKENS)

    def trimmed(self, answer: str) -> str:
        """As many lines of an answer as the middle has: an editor would show no more."""
        return "\n".join(answer.split("\n")[: self.num_lines])


def cut_cases(files: Sequence[DatasetFile], max_cases: int, seed: int) -> list[Case]:
    """About equally many of every file, in the order of their paths.

    A file's cuts depend on its content and the seed only, so they stay when others come and go.
    """
    if not files:
        return []
    per_file = max(max_cases // len(files), 1)
    found: list[Case] = []
    for file in sorted(files, key=lambda file: (file.path, file.sha256))[:max_cases]:
        found += _cut(file, per_file, random.Random(f"{seed}/{file.sha256}"))
    return found[:max_cases]


def _cut(file: DatasetFile, number: int, rng: random.Random) -> list[Case]:
    lines = [(match.start(1), match.end(1)) for match in _LINE.finditer(file.text)]
    found: dict[int, Case] = {}
    for _ in range(number * _NUM_TRIES if lines else 0):
        if len(found) == number:
            break
        chosen = rng.randrange(len(lines))
        first, end = lines[chosen]
        begin = rng.choice((first, rng.randrange(first, end)))
        if rng.random() < _MULTI_LINE_SHARE:
            more = rng.randint(1, _MAX_MORE_LINES)
            end = lines[min(chosen + more, len(lines) - 1)][1]
        middle = file.text[begin:end]
        if begin not in found and len(middle.strip()) >= _LEAST_MIDDLE_CHARS:
            prefix = file.text[max(begin - _PREFIX_CHARS, 0) : begin]
            suffix = file.text[end : end + _SUFFIX_CHARS]
            found[begin] = Case(file.path, file.language, prefix, middle, suffix)
    return [found[begin] for begin in sorted(found)]
