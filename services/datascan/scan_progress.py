"""How far a scan is, as its thread counts and its heartbeat tells."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar

from services.cluster.jobs.records import JobProgress
from services.cluster.tasks import to_its_end

_WINDOW_SECONDS = 10.0

T = TypeVar("T")


class Phase(IntEnum):
    """Numbers of ScanPhase."""

    FILTERING = 2
    SCORING = 3
    WRITING = 4


class ScanStopped(Exception):
    """The scan was cancelled, or lost to another worker; its thread ends."""


@dataclass
class ScanProgress:
    """Written by the scan, read by the heartbeat. `stop` ends a thread of it at its next file."""

    clock: Callable[[], float] = time.monotonic
    phase: Phase = Phase.FILTERING
    num_done: int = 0
    num_total: int = 0
    num_judged_files: int = 0
    num_reused_files: int = 0
    num_scored_files: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def begin(self, phase: Phase, num_total: int, num_done: int = 0) -> None:
        self.phase, self.num_total, self.num_done = phase, num_total, num_done
        self._marks.clear()

    def step(self, num_files: int = 1) -> None:
        """Raises ScanStopped when the scan is to end."""
        if self.stop.is_set():
            raise ScanStopped
        self.num_done += num_files

    async def in_thread(self, work: Callable[[], T]) -> T:
        """A thread cannot be cancelled: it is told to stop, and waited for."""
        running = asyncio.create_task(asyncio.to_thread(work))
        return await to_its_end(running, self.stop.set)

    def told(self) -> tuple[JobProgress, dict[str, Any]]:
        """What the job's record shows, and what only a scan has."""
        total = max(self.num_total, self.num_done)
        speed = self._files_per_second()
        progress = JobProgress(
            fraction=self.num_done / total if total else 0.0,
            num_done=self.num_done,
            num_total=self.num_total,
            remaining_seconds=(total - self.num_done) / speed if speed else None,
        )
        return progress, {
            "phase": int(self.phase),
            "files_per_second": speed,
            "num_judged_files": self.num_judged_files,
            "num_reused_files": self.num_reused_files,
            "num_scored_files": self.num_scored_files,
        }

    def _files_per_second(self) -> float:
        now = self.clock()
        self._marks.append((now, self.num_done))
        while now - self._marks[0][0] > _WINDOW_SECONDS:
            self._marks.popleft()
        begun, done = self._marks[0]
        return (self.num_done - done) / (now - begun) if now > begun else 0.0
