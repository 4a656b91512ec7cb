"""Which file that is kept a file repeats, exactly or nearly."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache

from services.datascan import shingles
from services.datascan.facts import FileFacts
from services.datascan.filters import Reason
from services.datascan.verdict_store import VerdictStore

# Files that are at least so alike go to the same half of a dataset, so that the test half does not
# ask for what was trained on.
GROUP_SIMILARITY = 0.5
_NUM_CACHED = 64


@dataclass(frozen=True)
class Repetition:
    """`reason` None: it repeats no file. `groups` are those of files that are somewhat alike."""

    reason: Reason | None = None
    detail: str = ""
    file_number: int = 0
    groups: tuple[int, ...] = ()
    bands: tuple[int, ...] = ()


class Duplicates:
    """Compares with the accepted files in the store; the first of several alike is the one kept."""

    def __init__(self, verdicts: VerdictStore, near_similarity: float) -> None:
        self._verdicts = verdicts
        self._near = near_similarity
        # Many candidates of one file are candidates of the next one too.
        self._shingles = lru_cache(_NUM_CACHED)(self._read_shingles)

    def look(self, facts: FileFacts) -> Repetition:
        own = shingles.shingles(facts.text or "")
        bands = tuple(shingles.bands(own))
        if same := self._verdicts.with_content(facts.content_key):
            number, path = same
            return Repetition(Reason.DUPLICATE, f"It has the content of {path}.", number, (), bands)
        groups = []
        for number, path, group in self._verdicts.with_bands(bands):
            alike = shingles.similarity(own, self._shingles(number))
            if alike >= self._near:
                detail = f"{alike:.0%} of it and of {path} are the same."
                return Repetition(Reason.NEAR_DUPLICATE, detail, number, (group,), bands)
            if alike >= GROUP_SIMILARITY:
                groups.append(group)
        return Repetition(groups=tuple(groups), bands=bands)

    def _read_shingles(self, file_number: int) -> Set[str]:
        return shingles.shingles(self._verdicts.text(file_number))
