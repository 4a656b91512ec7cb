"""Files of a zip archive. Nothing is extracted; a member is read up to the limit, in memory."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from services.datascan import names
from services.datascan.readers.source_file import (
    DamagedArchive,
    ReadLimits,
    SourceFile,
    refused,
    rest_refused,
)

# The others unpack whole blocks at once, so that a few bytes could fill the memory.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 0x1
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)


def read_zip(place: Path, limits: ReadLimits, skip: int = 0) -> Iterator[SourceFile]:
    """Files in the order of the directory at its end. Raises DamagedArchive."""
    try:
        archive = zipfile.ZipFile(place)
    except (*_DAMAGED, NotImplementedError) as error:
        raise DamagedArchive(f"The zip archive cannot be opened: {error}.") from None
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        overlapping = _overlapping(entries)
        left_bytes = limits.max_unpacked_bytes
        for number, entry in enumerate(entries):
            if number >= limits.max_files:
                yield rest_refused(
                    entry.filename, f"The archive has more than {limits.max_files} files."
                )
                return
            # By the size that is declared, which no member can exceed: also of those passed over.
            left_bytes -= entry.file_size if entry.file_size <= limits.max_file_bytes else 0
            if left_bytes < 0:
                yield rest_refused(
                    entry.filename,
                    f"The archive unpacks to more than {limits.max_unpacked_bytes} bytes.",
                )
                return
            if number >= skip:
                yield _read(archive, entry, limits, entry.header_offset in overlapping)


def _read(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: ReadLimits, overlaps: bool
) -> SourceFile:
    name, size_bytes = entry.filename, entry.file_size
    if sentence := names.refusal(entry.orig_filename) or _refusal(entry, overlaps):
        return refused(entry.orig_filename, size_bytes, sentence)
    if size_bytes > limits.max_file_bytes:
        return SourceFile(names.printable(name), size_bytes)
    try:
        with archive.open(entry) as member:
            content = member.read(limits.max_file_bytes + 1)
    except (*_DAMAGED, NotImplementedError) as error:
        return refused(name, size_bytes, f"It is damaged in the archive ({error}).")
    return SourceFile(names.printable(name), len(content), content)


def _refusal(entry: zipfile.ZipInfo, overlaps: bool) -> str:
    mode = entry.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "It is a link, not a file."
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "It is a device or a pipe, not a file."
    if entry.flag_bits & _ENCRYPTED:
        return "It is encrypted; upload the archive without a password."
    if entry.compress_type not in _METHODS:
        return "It is packed by a method that is not read here; pack it with deflate."
    if overlaps:
        return "It shares its bytes with another file of the archive, as bombs do."
    return ""


def _overlapping(entries: list[zipfile.ZipInfo]) -> set[int]:
    """Offsets of members that begin before the member ahead of them can have ended."""
    found: set[int] = set()
    last: zipfile.ZipInfo | None = None
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if last and entry.header_offset < _earliest_end(last):
            found |= {entry.header_offset, last.header_offset}
        last = entry
    return found


def _earliest_end(entry: zipfile.ZipInfo) -> int:
    return entry.header_offset + _LOCAL_HEADER_BYTES + entry.compress_size
