"""Verdicts in a store of a test's own."""

from __future__ import annotations

from pathlib import Path

from services.cluster.project_records import SourceKind, SourceRecord, SourceSplit
from services.datascan.filters import Filters
from services.datascan.readers import ReadLimits
from services.datascan.stage_one import Input, stage_one
from services.datascan.verdict_rows import VerdictRow
from services.datascan.verdict_store import VerdictStore

LIMITS = ReadLimits(max_file_bytes=512 * 1024, max_files=10_000, max_unpacked_bytes=10**9)


def source_of(
    folder: Path, name: str, content: bytes, split: SourceSplit = SourceSplit.AUTO
) -> Input:
    """An uploaded zip."""
    place = folder / f"{name}-content"
    place.write_bytes(content)
    source = SourceRecord(
        source_id=f"source-{name}",
        project_id="p",
        team_id="t",
        kind=SourceKind.ARCHIVE,
        name=name,
        split=split,
        artifact_id=name,
        file_name=f"{name}.zip",
        size_bytes=len(content),
        sha256="",
        created_at=1.0,
        fetched_at=1.0,
    )
    return Input(source, place)


def store_in(folder: Path, token: int = 1, inputs: str = "inputs") -> VerdictStore:
    return VerdictStore(folder / "scan.sqlite", inputs, token)


def filtered(
    verdicts: VerdictStore, inputs: list[Input], filters: Filters | None = None
) -> list[VerdictRow]:
    return list(stage_one(inputs, verdicts, filters or Filters(), LIMITS))
