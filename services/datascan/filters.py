"""The filters of a project as the rules read them: every threshold set, masks compiled once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import pathspec


class Reason(IntEnum):
    """Why a file is rejected, in the order in which reasons are shown; numbers of VerdictReason."""

    LINGUIST_ERROR = 1
    NOT_TEXT = 2
    TOO_LARGE = 3
    LFS_POINTER = 4
    EXCLUDED_BY_MASK = 6
    DUPLICATE = 7
    NEAR_DUPLICATE = 8
    GENERATED = 9
    VENDORED = 10
    MINIFIED = 12
    DIGITS = 14
    NOT_CODE = 15
    LANGUAGE_OFF = 16
    FILTER_EMPTY = 17
    LOSS = 18


LAST_FINAL = 5  # reasons up to here can be neither lifted by a mask nor switched off


@dataclass(frozen=True)
class Filters:
    """Field by field as ScanFilters, which has the units and limits."""

    include_masks: tuple[str, ...] = ()
    exclude_masks: tuple[str, ...] = ()
    disabled_languages: frozenset[str] = frozenset()
    disabled_reasons: frozenset[int] = frozenset()
    max_file_bytes: int = 512 * 1024
    max_digit_share: float = 0.3
    max_line_chars: int = 1000
    max_mean_line_chars: float = 100.0
    near_duplicate_similarity: float = 0.7
    max_loss: float = 2.0
    test_share: float = 0.1

    def includes(self, path: str) -> bool:
        return self._included.match_file(path)

    def exclusion(self, path: str) -> str:
        """The mask that excludes the path; "" for none."""
        found = self._excluded.check_file(path)
        if not found.include or found.index is None:
            return ""
        return self.exclude_masks[found.index]

    @cached_property
    def _included(self) -> pathspec.GitIgnoreSpec:
        return pathspec.GitIgnoreSpec.from_lines(self.include_masks)

    @cached_property
    def _excluded(self) -> pathspec.GitIgnoreSpec:
        return pathspec.GitIgnoreSpec.from_lines(self.exclude_masks)
