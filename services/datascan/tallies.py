"""Sums over the verdicts of a scan."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass

from services.datascan.filters import Reason
from services.datascan.verdict_rows import Split


@dataclass(frozen=True)
class LanguageTally:
    language: str
    num_files: int
    num_accepted_files: int
    accepted_bytes: int


@dataclass(frozen=True)
class Tallies:
    """`reasons` in their order, `languages` with most files first; `mean_loss` is train's,
    in nats per token."""

    num_files: int = 0
    num_accepted_files: int = 0
    accepted_bytes: int = 0
    reasons: tuple[tuple[int, int], ...] = ()
    languages: tuple[LanguageTally, ...] = ()
    mean_loss: float | None = None

    @property
    def num_duplicate_files(self) -> int:
        alike = {Reason.DUPLICATE, Reason.NEAR_DUPLICATE}
        return sum(num for reason, num in self.reasons if reason in alike)


@dataclass(frozen=True)
class HalfTally:
    num_files: int
    text_bytes: int
    num_tokens: int
    mean_loss: float | None


def tallies(db: sqlite3.Connection) -> Tallies:
    languages = [
        LanguageTally(*row)
        for row in db.execute(
            "SELECT language, count(*), sum(accepted), sum(accepted * size_bytes) FROM files"
            " GROUP BY language ORDER BY count(*) DESC, language"
        )
    ]
    reasons = db.execute(
        "SELECT reason, count(*) FROM files WHERE accepted = 0 GROUP BY reason ORDER BY reason"
    ).fetchall()
    return Tallies(
        num_files=sum(language.num_files for language in languages),
        num_accepted_files=sum(language.num_accepted_files for language in languages),
        accepted_bytes=sum(language.accepted_bytes for language in languages),
        reasons=tuple(reasons),
        languages=tuple(languages),
        mean_loss=half_tally(db, Split.TRAIN).mean_loss,
    )


def half_tally(db: sqlite3.Connection, split: Split) -> HalfTally:
    num_files, text_bytes, num_tokens, loss_tokens, bits = db.execute(
        "SELECT count(*), coalesce(sum(text_bytes), 0), coalesce(sum(num_tokens), 0),"
        " sum(CASE WHEN loss IS NOT NULL THEN num_tokens END), sum(loss * text_bytes)"
        " FROM files WHERE accepted = 1 AND split = ?",
        (split,),
    ).fetchone()
    mean_loss = bits * math.log(2) / loss_tokens if loss_tokens else None
    return HalfTally(num_files, text_bytes, num_tokens, mean_loss)


def by_source(db: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """Files and accepted files by source_id."""
    rows = db.execute("SELECT source_id, count(*), sum(accepted) FROM files GROUP BY source_id")
    return {source_id: (num_files, num_accepted) for source_id, num_files, num_accepted in rows}


def by_accepted_language(db: sqlite3.Connection) -> list[tuple[str, int, int]]:
    """Language, files and text bytes of what was accepted, most files first."""
    return db.execute(
        "SELECT language, count(*), sum(text_bytes) FROM files WHERE accepted = 1"
        " GROUP BY language ORDER BY count(*) DESC, language"
    ).fetchall()
