"""Room on a volume: asked for before much is written, and told of when there is none left."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.cluster.errors import OutOfDisk

# Kept free for Redis' append-only file and the logs, which need it more than an artifact does.
RESERVE_BYTES = 256 * 1024 * 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def free_bytes(folder: Path) -> int:
    """For this user, on the volume of a folder that is or will be."""
    while not folder.exists():
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def ensure_space(folder: Path, needed_bytes: int, reserve_bytes: int = RESERVE_BYTES) -> None:
    """Raises OutOfDisk when `folder` would not have `reserve_bytes` left after the write."""
    free = free_bytes(folder)
    if needed_bytes > 0 and free - needed_bytes < reserve_bytes:
        raise OutOfDisk(
            f"{readable_size(needed_bytes)} are needed in {folder}, where {readable_size(free)} are"
            f" free and {readable_size(reserve_bytes)} have to stay free. Make room there."
        )


@contextmanager
def telling_full_disk(place: Path) -> Iterator[None]:
    """A volume that is full becomes OutOfDisk; other errors stay what they are."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise OutOfDisk(
            f"The volume of {place} is full; nothing was kept. Make room there and try again."
        ) from error


def readable_size(num_bytes: int) -> str:
    """Such as 1.5 GiB."""
    size, unit = float(num_bytes), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{num_bytes} bytes"
