"""What every reader gives, and the limits that it keeps."""

from __future__ import annotations

from dataclasses import dataclass

from services.cluster.errors import BadRequest
from services.datascan import names

MIB = 1024**2
NOTHING_AFTER = "Nothing after it was read."


class DamagedArchive(BadRequest):
    """It cannot be opened, or breaks off. The message says where."""


@dataclass(frozen=True)
class SourceFile:
    """A file as it lies in a source.

    `content` is None when it was not read: too large, or `refusal` says why in a sentence.
    """

    path: str
    size_bytes: int
    content: bytes | None = None
    refusal: str = ""


@dataclass(frozen=True)
class ReadLimits:
    """What one source may be. A stream may grow by `max_ratio` after its first 10 MiB."""

    max_file_bytes: int
    max_files: int
    max_unpacked_bytes: int
    max_ratio: float = 200.0
    ratio_free_bytes: int = 10 * MIB


def refused(name: str, size_bytes: int, sentence: str) -> SourceFile:
    return SourceFile(names.printable(name), size_bytes, refusal=sentence)


def rest_refused(name: str, sentence: str) -> SourceFile:
    """Stands for the file at which reading stopped and everything after it."""
    return refused(name, 0, f"{sentence} {NOTHING_AFTER}")
