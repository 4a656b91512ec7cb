"""How a source is read: a table from the end of the uploaded file's name to a reader.

Reading goes through archives as streams and never extracts, so that names, links, modes and
devices inside them can do nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from services.cluster.errors import BadRequest
from services.datascan.readers.single_file import read_single_file
from services.datascan.readers.source_file import ReadLimits, SourceFile
from services.datascan.readers.tar_archive import read_tar, read_tar_bz2, read_tar_gz
from services.datascan.readers.zip_archive import read_zip

# Place, limits, and how many files were read before and are passed over.
Reader = Callable[[Path, ReadLimits, int], Iterator[SourceFile]]

ARCHIVES: dict[str, Reader] = {
    ".zip": read_zip,
    ".tar": read_tar,
    ".tar.gz": read_tar_gz,
    ".tgz": read_tar_gz,
    ".tar.bz2": read_tar_bz2,
    ".tbz2": read_tar_bz2,
}
_NOT_READ = (".7z", ".bz2", ".gz", ".rar", ".tar.xz", ".tar.zst", ".txz", ".xz", ".zst")


def ending(file_name: str) -> str:
    """The longest end of the name that says which archive it is; "" for a single file.

    Raises BadRequest for an archive that is not read.
    """
    lowered = file_name.lower()
    found = [end for end in ARCHIVES if lowered.endswith(end)]
    if found:
        return max(found, key=len)
    if lowered.endswith(_NOT_READ):
        raise BadRequest(
            f"{file_name} is packed in a way that is not read here; upload a .zip, .tar, .tar.gz"
            " or .tar.bz2.",
            param="file_name",
        )
    return ""


def read(place: Path, file_name: str, limits: ReadLimits, skip: int = 0) -> Iterator[SourceFile]:
    """Raises DamagedArchive, at once or where the archive breaks off."""
    if end := ending(file_name):
        return ARCHIVES[end](place, limits, skip)
    return read_single_file(place, file_name, limits, skip)


__all__ = ["ReadLimits", "SourceFile", "ending", "read"]
