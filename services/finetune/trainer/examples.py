"""Training examples from files: whole text, and text with a hole (arXiv:2207.14255).

Everything is drawn from one seeded generator, so a resumed run sees the examples that an
uninterrupted one would have seen.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.finetune.files import DatasetFile
from services.finetune.tokens import TextTokenizer

NO_LOSS = -100
_LEAST_TOKENS = 4  # shorter pieces teach nothing
_CHARS_PER_TOKEN = 3.0
_WINDOW_SHARE = (0.25, 0.9)  # of the context, so that windows of many lengths are seen
_SUFFIX_SHARE = 0.25
_LINE = re.compile(r"^[ \t]*(\S.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """`labels` are the ids, or NO_LOSS where nothing is learned."""

    ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class Hole:
    """`prefix + middle + suffix` is the text again."""

    prefix: str
    middle: str
    suffix: str


def cut_hole(text: str, rng: random.Random) -> Hole:
    """A middle of a kind that an editor asks for: the rest of a line, or the rest and more lines.

    It is empty only where the text is blank: a model that saw empty ones learned to say nothing.
    """
    lines = [(match.start(1), match.end(1)) for match in _LINE.finditer(text)]
    if not lines:
        return Hole("", text, "")
    chosen = rng.randrange(len(lines))
    first, end = lines[chosen]
    begin = rng.choice((first, rng.randrange(first, end)))
    kind = rng.random()
    if kind < 0.2:
        end = rng.randint(begin + 1, end)
    elif kind > 0.6:
        end = lines[min(chosen + rng.randint(1, 8), len(lines) - 1)][1]
    return Hole(text[:begin], text[begin:end], text[end:])


def windows(text: str, context_tokens: int, rng: random.Random) -> Iterator[str]:
    """A file as pieces of whole lines, each likely to fit the context."""
    begin = 0
    while begin < len(text):
        share = rng.uniform(*_WINDOW_SHARE)
        end = begin + max(int(context_tokens * _CHARS_PER_TOKEN * share), 1)
        newline = text.find("\n", end)
        end = len(text) if newline < 0 else newline + 1
        yield text[begin:end]
        begin = end


class ExampleMaker:
    """`fim_share` of the files become examples with holes, the rest plain text."""

    def __init__(self, tokenizer: TextTokenizer, context_tokens: int, fim_share: float) -> None:
        self._tokenizer = tokenizer
        self._context_tokens = context_tokens
        self._fim_share = fim_share if tokenizer.fim else 0.0

    def examples(self, files: Sequence[DatasetFile], rng: random.Random) -> Iterator[Example]:
        """Of every file once, in random order, each at most `context_tokens` long."""
        for file in rng.sample(list(files), len(files)):
            if rng.random() < self._fim_share:
                for piece in windows(file.text, self._context_tokens, rng):
                    yield self.with_hole(cut_hole(piece, rng))
            else:
                yield from self.plain(file.text)

    def plain(self, text: str) -> Iterator[Example]:
        """The text and its end, in pieces."""
        ids = [*self._tokenizer.encode(text), self._tokenizer.end_id]
        for begin in range(0, len(ids), self._context_tokens):
            piece = ids[begin : begin + self._context_tokens]
            if len(piece) >= _LEAST_TOKENS:
                yield Example(piece, [NO_LOSS, *piece[1:]])

    def with_hole(self, hole: Hole) -> Example:
        """In the family's order. Its marks are not learned: nobody asks the model to say them."""
        family = self._tokenizer.fim
        if family is None:
            raise ValueError("The model has no fill-in-the-middle tokens.")
        prefix, middle, suffix = self._tokenizer.encode_batch(
            [hole.prefix, hole.middle, hole.suffix]
        )
        room = self._context_tokens - len(family.tokens) - 1
        middle = middle[:room]
        prefix, suffix = _fit(prefix, suffix, room - len(middle))
        parts = {"{prefix}": prefix, "{suffix}": suffix}
        ids: list[int] = []
        labels: list[int] = []
        for part in family.order:
            if part in parts:
                ids += parts[part]
                labels += parts[part]
            else:
                ids.append(self._tokenizer.special_tokens[part])
                labels.append(NO_LOSS)
        ids += [*middle, self._tokenizer.end_id]
        labels += [*middle, self._tokenizer.end_id]
        return Example(ids, [NO_LOSS, *labels[1:]])


def _fit(prefix: list[int], suffix: list[int], room: int) -> tuple[list[int], list[int]]:
    """The end of the prefix and the beginning of the suffix, as serving cuts them."""
    if len(prefix) + len(suffix) <= room:
        return prefix, suffix
    num_suffix = min(len(suffix), max(int(room * _SUFFIX_SHARE), room - len(prefix)))
    num_prefix = min(len(prefix), room - num_suffix)
    return prefix[len(prefix) - num_prefix :], suffix[:num_suffix]
