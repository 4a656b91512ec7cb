"""A file as a person looks at it: its verdict and, where it can still be had, its text."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import NotFound
from services.cluster.project_records import SourceRecord
from services.datascan import readers
from services.datascan.facts import decoded
from services.datascan.filters import Reason
from services.datascan.readers.source_file import DamagedArchive, ReadLimits
from services.datascan.verdict_pages import place_in_source
from services.datascan.verdict_rows import VerdictRow

MAX_TEXT_BYTES = 512 * 1024


def text_of(
    row: VerdictRow,
    stored: str | None,
    scan_place: Path,
    source: SourceRecord | None,
    artifacts: ArtifactStore,
    limits: ReadLimits,
) -> tuple[str, str]:
    """The text, and why there is none as a sentence.

    `stored` is what stage 1 accepted; the rest is read from the source once more.
    """
    if stored is not None:
        return stored, ""
    if row.reason == Reason.LINGUIST_ERROR:
        return "", row.detail
    if source is None:
        return "", "Its source was deleted."
    try:
        place = artifacts.path(ArtifactKind.SOURCE, source.artifact_id) / "content"
        skip = place_in_source(scan_place, row)
        found = next(islice(readers.read(place, source.file_name, limits, skip), 1), None)
    except (NotFound, DamagedArchive):
        found = None
    if found is None or f"{source.name}/{found.path}" != row.path:
        return "", "Its source has changed since the scan."
    if found.content is None:
        return "", found.refusal or "It is too large to be shown."
    text = decoded(found.content)
    return ("", "It is no text.") if text is None else (text, "")


def cut(text: str) -> tuple[str, bool]:
    """At most the first 512 KiB in UTF-8, and whether there was more."""
    data = text.encode()
    if len(data) <= MAX_TEXT_BYTES:
        return text, False
    return data[:MAX_TEXT_BYTES].decode(errors="ignore"), True
