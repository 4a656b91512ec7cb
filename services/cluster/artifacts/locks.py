"""A lock between processes: of a file or a folder; the kernel unlocks it when its holder ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.cluster.errors import Unavailable

WAIT_SECONDS = 30.0
_LOOK_SECONDS = 0.02
_RETRY_SECONDS = 5.0


@contextmanager
def locked(
    place: Path,
    wait_seconds: float = WAIT_SECONDS,
    *,
    make: bool = False,
    shared: bool = False,
) -> Iterator[None]:
    """Holds the lock of what has this name for the block; `shared` ones go together.

    A holder that was stopped (SIGSTOP) keeps its lock, so the wait has a bound: Unavailable after
    it. Raises FileNotFoundError for a file that is not there, unless `make` makes it.

    Of a folder the lock is the last thing that a deletion takes away, and a rename keeps it.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        descriptor = _opened(place, make)
        try:
            if not _won(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, deadline):
                raise Unavailable(
                    f"{place} was locked by another process for {wait_seconds:g} s; the process"
                    " may have been stopped. Let it go on, or end it, and ask again.",
                    retry_after_seconds=_RETRY_SECONDS,
                )
            if _is_named(descriptor, place):
                yield
                return
        finally:
            os.close(descriptor)


def _opened(place: Path, make: bool) -> int:
    try:
        return os.open(place, os.O_RDWR | (os.O_CREAT if make else 0), 0o600)
    except IsADirectoryError:
        return os.open(place, os.O_RDONLY)  # nobody can open a folder to write


def _won(descriptor: int, operation: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_SECONDS)  # flock(2) has no time-out
        else:
            return True


def _is_named(descriptor: int, place: Path) -> bool:
    """Whoever held the lock before may have put another file in its place."""
    try:
        return os.path.samestat(os.fstat(descriptor), place.stat())
    except FileNotFoundError:
        return False
