"""Stage 1: every file of every source gets its verdict, by the file alone and by comparison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from services.cluster.project_records import SourceRecord, SourceSplit
from services.datascan import readers
from services.datascan.duplicates import Duplicates, Repetition
from services.datascan.facts import FileFacts, facts_of
from services.datascan.filters import Filters, Reason
from services.datascan.readers.source_file import (
    NOTHING_AFTER,
    DamagedArchive,
    ReadLimits,
    SourceFile,
    rest_refused,
)
from services.datascan.rules import Judgement, judge, judgement_of
from services.datascan.verdict_rows import Step, VerdictRow
from services.datascan.verdict_store import VerdictStore

_COMMIT_FILES = 200


@dataclass(frozen=True)
class Input:
    """A source and where its bytes are."""

    source: SourceRecord
    place: Path


def in_order(sources: list[SourceRecord]) -> list[SourceRecord]:
    """Test sources first: of two files alike the first one is kept, and test keeps its own."""
    return sorted(sources, key=lambda s: (s.split is not SourceSplit.TEST, s.name, s.source_id))


def stage_one(
    inputs: list[Input], verdicts: VerdictStore, filters: Filters, limits: ReadLimits
) -> Iterator[VerdictRow]:
    """Each verdict after it was written; goes on after those that an earlier attempt wrote."""
    duplicates = Duplicates(verdicts, filters.near_duplicate_similarity)
    number = verdicts.last_number()
    for part in inputs:
        for file in _files(part, limits, verdicts):
            number += 1
            facts = facts_of(file, part.source.name)
            judgement = judge(facts, filters)
            found = Repetition()
            if judgement.accepted and facts.text is not None:
                found = duplicates.look(facts)
                judgement = _with(judgement, found, facts, filters)
            row = _row(number, part.source.source_id, facts, judgement, found)
            if row.accepted:
                row = replace(row, group_number=verdicts.join_groups([number, *found.groups]))
                verdicts.add(row, facts.text, found.bands)
            else:
                verdicts.add(row)
            if number % _COMMIT_FILES == 0:
                verdicts.commit()
            yield row
    verdicts.commit()


def _files(part: Input, limits: ReadLimits, verdicts: VerdictStore) -> Iterator[SourceFile]:
    """Those without a verdict. What became unreadable since the upload has one, for all of it."""
    source_id = part.source.source_id
    if verdicts.last_detail(source_id).endswith(NOTHING_AFTER):
        return
    skip = verdicts.num_files(source_id)
    try:
        yield from readers.read(part.place, part.source.file_name, limits, skip)
    except DamagedArchive as error:
        yield rest_refused(part.source.file_name, error.message)


def _with(judgement: Judgement, found: Repetition, facts: FileFacts, filters: Filters) -> Judgement:
    if found.reason is None:
        return judgement
    again = judgement_of({found.reason: found.detail}, facts.path, filters)
    others = tuple(reason for reason in judgement.reasons if reason not in again.reasons)
    return replace(again, reasons=again.reasons + others, forced=again.forced or judgement.forced)


def _row(
    number: int, source_id: str, facts: FileFacts, judgement: Judgement, found: Repetition
) -> VerdictRow:
    reasons = judgement.reasons
    return VerdictRow(
        file_number=number,
        source_id=source_id,
        path=facts.path,
        accepted=judgement.accepted,
        step=_step(judgement, facts),
        size_bytes=facts.size_bytes,
        reason=0 if judgement.accepted else int(reasons[0]),
        reasons="".join(f",{int(reason)}" for reason in reasons) + "," if reasons else "",
        detail=judgement.detail,
        forced=judgement.forced,
        language=facts.language,
        num_lines=facts.num_lines,
        content_sha256=facts.sha256,
        content_key=facts.content_key,
        text_bytes=len(facts.text.encode()) if facts.text is not None else 0,
        digit_share=None if facts.text is None else facts.digit_share,
        duplicate_file_number=found.file_number,
    )


def _step(judgement: Judgement, facts: FileFacts) -> Step:
    if judgement.accepted:
        return Step.DUPLICATES
    first = judgement.reasons[0]
    if first in (Reason.DUPLICATE, Reason.NEAR_DUPLICATE):
        return Step.DUPLICATES
    return Step.READ if first in (Reason.LINGUIST_ERROR, Reason.NOT_TEXT) else Step.RULES
