"""Why a file by itself is not for training: one function for each reason, and their table.

A rule is pure: it answers with a sentence when it applies, and with "" when it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.datascan import origins
from services.datascan.facts import FileFacts
from services.datascan.filters import LAST_FINAL, Filters, Reason

Rule = Callable[[FileFacts, Filters], str]

_LFS_POINTER = "version https://git-lfs.github.com/spec/"


def linguist_error(facts: FileFacts, filters: Filters) -> str:
    return facts.refusal


def not_text(facts: FileFacts, filters: Filters) -> str:
    return "It is binary, or in no known encoding." if _is_binary(facts) else ""


def too_large(facts: FileFacts, filters: Filters) -> str:
    if facts.size_bytes <= filters.max_file_bytes or facts.refusal:
        return ""
    return f"It has {facts.size_bytes} bytes; {filters.max_file_bytes} are allowed."


def lfs_pointer(facts: FileFacts, filters: Filters) -> str:
    if (facts.text or "").startswith(_LFS_POINTER):
        return "It stands for a file that git keeps elsewhere."
    return ""


def excluded_by_mask(facts: FileFacts, filters: Filters) -> str:
    mask = filters.exclusion(facts.path)
    return f"The mask {mask} excludes it." if mask else ""


def generated(facts: FileFacts, filters: Filters) -> str:
    return origins.generated(facts.path, facts.text or "")


def vendored(facts: FileFacts, filters: Filters) -> str:
    return origins.vendored(facts.path)


def minified(facts: FileFacts, filters: Filters) -> str:
    if facts.max_line_chars > filters.max_line_chars:
        return (
            f"Its longest line has {facts.max_line_chars} characters;"
            f" {filters.max_line_chars} are allowed."
        )
    if facts.mean_line_chars > filters.max_mean_line_chars:
        return (
            f"Its lines have {facts.mean_line_chars:.0f} characters on average;"
            f" {filters.max_mean_line_chars:g} are allowed."
        )
    return ""


def lots_of_digits(facts: FileFacts, filters: Filters) -> str:
    if facts.digit_share <= filters.max_digit_share:
        return ""
    return (
        f"{facts.digit_share:.0%} of its non-blank characters are digits;"
        f" {filters.max_digit_share:.0%} are allowed."
    )


def not_code(facts: FileFacts, filters: Filters) -> str:
    if facts.text is None or facts.language:
        return ""
    return "Neither its name nor its first line tells a language."


def language_off(facts: FileFacts, filters: Filters) -> str:
    if facts.language in filters.disabled_languages:
        return f"{facts.language} is switched off."
    return ""


def filter_empty(facts: FileFacts, filters: Filters) -> str:
    if facts.text is None or facts.num_non_blank:
        return ""
    return "There is nothing in it to learn from."


RULES: dict[Reason, Rule] = {
    Reason.LINGUIST_ERROR: linguist_error,
    Reason.NOT_TEXT: not_text,
    Reason.TOO_LARGE: too_large,
    Reason.LFS_POINTER: lfs_pointer,
    Reason.EXCLUDED_BY_MASK: excluded_by_mask,
    Reason.GENERATED: generated,
    Reason.VENDORED: vendored,
    Reason.MINIFIED: minified,
    Reason.DIGITS: lots_of_digits,
    Reason.NOT_CODE: not_code,
    Reason.LANGUAGE_OFF: language_off,
    Reason.FILTER_EMPTY: filter_empty,
}


@dataclass(frozen=True)
class Judgement:
    """`reasons` are all that apply, in order; `detail` is the sentence of the first of them.

    `forced`: an include mask lifted them.
    """

    accepted: bool
    reasons: tuple[Reason, ...] = ()
    detail: str = ""
    forced: bool = False


def judge(facts: FileFacts, filters: Filters) -> Judgement:
    """Stage 1, as far as the file alone decides."""
    found = {reason: text for reason, rule in RULES.items() if (text := rule(facts, filters))}
    return judgement_of(found, facts.path, filters)


def judgement_of(found: dict[Reason, str], path: str, filters: Filters) -> Judgement:
    """What reasons that apply make of a file."""
    if not found:
        return Judgement(accepted=True)
    enabled = [r for r in found if r <= LAST_FINAL or r not in filters.disabled_reasons]
    forced = bool(enabled) and all(r > LAST_FINAL for r in enabled) and filters.includes(path)
    # One that rejects comes before those that are only recorded.
    reasons = sorted(found, key=lambda reason: (reason not in enabled, reason))
    return Judgement(not enabled or forced, tuple(reasons), found[reasons[0]], forced)


def _is_binary(facts: FileFacts) -> bool:
    return facts.was_read and facts.text is None
