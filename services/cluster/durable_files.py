"""Files that a power cut cannot take back: what is on disk before what, by fsync(2)."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_READ_BYTES = 1024 * 1024


def sync(place: Path) -> None:
    """Of a folder: the names in it."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Every file below, then every folder, the folder itself last."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(parent, name))
        sync(Path(parent))


def make_folder(folder: Path) -> None:
    """With the folders above it that are not there, each on disk."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


def write(place: Path, text: str, mode: int = 0o644) -> None:
    """Readers see the old file or the new one, and the new one only when it is on disk."""
    temporary = place.with_name(f".{place.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode)
    temporary.write_text(text)
    sync(temporary)
    temporary.rename(place)
    sync(place.parent)


def write_first(place: Path, text: str, mode: int = 0o644) -> bool:
    """False, and nothing is written, where there is a file; several processes may try at once."""
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.") as folder:
        temporary = Path(folder, place.name)
        write(temporary, text, mode)
        try:
            os.link(temporary, place)
        except FileExistsError:
            return False
    sync(place.parent)
    return True


def sha256_of(place: Path) -> str:
    sha256 = hashlib.sha256()
    with place.open("rb") as file:
        while block := file.read(_READ_BYTES):
            sha256.update(block)
    return sha256.hexdigest()


def files_below(folder: Path) -> Iterator[Path]:
    """In the order of their paths; a link counts as a file and is not followed."""
    for place in sorted(folder.rglob("*")):
        if place.is_symlink() or place.is_file():
            yield place
