"""Fencing where it matters: at the folder that a holder publishes into.

A lease cannot stop a holder that was paused after its last look at it (Kleppmann, "How to do
distributed locking", 2016). So each attempt leaves its fencing token in a file first, and an
artifact appears under a lock of that file, only while the token in it is the publisher's own.

    ROOT/fences/NAME    the newest token, in decimal digits; NAME is the job's id
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.cluster import durable_files
from services.cluster.artifacts.disk_space import telling_full_disk
from services.cluster.artifacts.locks import WAIT_SECONDS, locked
from services.cluster.artifacts.manifest import check_id
from services.cluster.errors import LeaseLost
from services.cluster.metrics import FENCED_WRITES

FENCES = "fences"


@dataclass(frozen=True)
class Fence:
    """The right to publish for a job: `token` is that of the job's attempt."""

    name: str
    token: int


class Fences:
    """`wait_seconds` is the longest wait for a holder that was stopped while it published."""

    def __init__(self, root: Path, wait_seconds: float = WAIT_SECONDS) -> None:
        self._folder = root / FENCES
        self._wait_seconds = wait_seconds

    def raise_to(self, name: str, token: int) -> None:
        """What an attempt does before it works: holders of older tokens publish nothing after it.

        Raises LeaseLost when a newer token is there, Unavailable when a stopped holder of the
        lock does not let go. A second call with the same token changes nothing.
        """
        place = self._place(name)
        with telling_full_disk(place):
            durable_files.make_folder(self._folder)
            with locked(place, self._wait_seconds, make=True):
                newest = _token(place)
                if newest > token:
                    raise _lost(name)
                if newest < token:
                    durable_files.write(place, f"{token}\n")

    @contextmanager
    def held(self, fence: Fence) -> Iterator[None]:
        """No token is raised during the block. Raises LeaseLost and Unavailable before it.

        A fence that is not there was collected after its job had ended: lost as well.
        """
        place = self._place(fence.name)
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(place, self._wait_seconds))
            except FileNotFoundError:
                raise _lost(fence.name) from None
            if _token(place) != fence.token:
                raise _lost(fence.name)
            yield

    def places(self) -> list[Path]:
        """The file of each fence."""
        return [p for p in sorted(self._folder.glob("*")) if not p.name.startswith(".")]

    def delete(self, name: str) -> None:
        """Whoever holds a token of it can publish nothing from now on."""
        place = self._place(name)
        with locked(place, self._wait_seconds):
            place.unlink()

    def _place(self, name: str) -> Path:
        check_id(name)
        return self._folder / name


def _token(place: Path) -> int:
    """0 where an attempt was killed before it wrote one."""
    return int(place.read_text() or 0)


def _lost(name: str) -> LeaseLost:
    FENCED_WRITES.labels("artifact").inc()
    return LeaseLost(
        f"Another attempt has taken over {name}; this one publishes nothing and must stop its work."
    )
