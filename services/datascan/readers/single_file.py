"""The one file of a source that is no archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from services.datascan import names
from services.datascan.readers.source_file import ReadLimits, SourceFile


def read_single_file(
    place: Path, file_name: str, limits: ReadLimits, skip: int = 0
) -> Iterator[SourceFile]:
    if skip:
        return
    size_bytes = place.stat().st_size
    path = names.printable(file_name)
    if size_bytes > limits.max_file_bytes:
        yield SourceFile(path, size_bytes)
    else:
        yield SourceFile(path, size_bytes, place.read_bytes())
