"""How fast bytes come, and when the last one will be here."""

from __future__ import annotations

from collections import deque

from services.cluster.jobs.records import JobProgress

_WINDOW_SECONDS = 20.0
_SAMPLE_SECONDS = 0.25


class Pace:
    """Over the last seconds. `now` is of a monotonic clock."""

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self.present_bytes = 0
        self._num_fetched = 0
        self._came: deque[tuple[float, int]] = deque()

    def add(self, num_bytes: int, now: float, *, fetched: bool) -> None:
        """What was here before the download says nothing about its speed."""
        self.present_bytes += num_bytes
        if not fetched:
            return
        self._num_fetched += num_bytes
        if self._came and now - self._came[-1][0] < _SAMPLE_SECONDS:
            return
        self._came.append((now, self._num_fetched))
        while now - self._came[0][0] > _WINDOW_SECONDS and len(self._came) > 2:
            self._came.popleft()

    def bytes_per_second(self) -> float:
        """0 while unknown."""
        if len(self._came) < 2:
            return 0.0
        (began, first), (ended, last) = self._came[0], self._came[-1]
        return (last - first) / (ended - began) if ended > began else 0.0

    def progress(self, file: str) -> JobProgress:
        speed = self.bytes_per_second()
        missing = self.total_bytes - self.present_bytes
        return JobProgress(
            fraction=self.present_bytes / self.total_bytes if self.total_bytes else 1.0,
            num_done=self.present_bytes,
            num_total=self.total_bytes,
            remaining_seconds=missing / speed if speed else None,
            message=file,
        )
