"""What waits for its first token, by replica: whether one more may, and for how long it would.

Only what this gateway sent is counted, because that is known at once; what others sent is told by
the replica, which refuses what is too much. Does no I/O; the clock is given.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# Places that only what is preferred may take, such as completions before chat.
_KEPT_SHARE = 0.25
_PREFERRED = 0  # priority; a lower one is served earlier
_REMEMBERED_SECONDS = 10.0
_SHORTEST_SECONDS = 1.0
_LONGEST_SECONDS = 30.0  # a client that is sent away for longer finds ways of its own


@dataclass
class _Queue:
    """`num_begun` began within `busy_seconds` in which others waited too; both fade with time.

    `begun_at` is when the last one began, or the first came. Until `full_until` the replica itself
    has no place.
    """

    waiting: Counter[int] = field(default_factory=Counter)
    num_begun: float = 0.0
    busy_seconds: float = 0.0
    begun_at: float = 0.0
    is_crowded: bool = False
    full_until: float = 0.0

    @property
    def num_waiting(self) -> int:
        return self.waiting.total()

    def num_ahead(self, priority: int) -> int:
        return sum(number for other, number in self.waiting.items() if other <= priority)

    def come(self, priority: int, now: float) -> None:
        if not self.num_waiting:
            self.begun_at = now
        self.waiting[priority] += 1
        self.is_crowded |= self.num_waiting > 1

    def begin(self, priority: int, now: float) -> None:
        if self.is_crowded:  # else it says how long a first token takes, not how many can be had
            passed = now - self.begun_at
            fading = math.exp(-passed / _REMEMBERED_SECONDS)
            self.num_begun = self.num_begun * fading + 1
            self.busy_seconds = self.busy_seconds * fading + passed
        self.begun_at = now
        self.go(priority)

    def go(self, priority: int) -> None:
        self.waiting[priority] -= 1
        self.is_crowded &= self.num_waiting > 0

    def seconds_each(self, now: float) -> float:
        """From one beginning to the next, 0 while unknown."""
        if not self.num_begun:
            return 0.0
        silent = now - self.begun_at if self.num_waiting else 0.0
        return max(
            self.busy_seconds / self.num_begun, (self.busy_seconds + silent) / (self.num_begun + 1)
        )


class Queues:
    """`max_queued` may wait at each replica, none of them for longer than `longest_seconds`."""

    def __init__(
        self, max_queued: int, longest_seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_queued = max_queued
        self._longest_seconds = longest_seconds
        self._now = now
        self._queues: dict[str, _Queue] = {}

    def has_room(self, replica_id: str, priority: int) -> bool:
        queue = self._queues.get(replica_id)
        if queue is None:
            return True
        kept = 0 if priority <= _PREFERRED else int(self._max_queued * _KEPT_SHARE)
        return (
            queue.num_waiting < self._max_queued - kept
            and self._now() >= queue.full_until
            and self.wait_seconds(replica_id, priority) <= self._longest_seconds
        )

    def wait_seconds(self, replica_id: str, priority: int) -> float:
        """An estimate for one more, behind those that are served before it; 0 while unknown."""
        queue = self._queues.get(replica_id)
        return queue.num_ahead(priority) * queue.seconds_each(self._now()) if queue else 0.0

    def retry_seconds(self, replica_id: str) -> float:
        """When to ask again: about when those that wait now have begun."""
        queue = self._queues.get(replica_id)
        seconds = queue.num_waiting * queue.seconds_each(self._now()) if queue else 0.0
        return min(max(seconds, _SHORTEST_SECONDS), _LONGEST_SECONDS)

    @contextmanager
    def place(self, replica_id: str, priority: int) -> Iterator[Place]:
        """From sending a request to the end of its answer."""
        queue = self._queues.setdefault(replica_id, _Queue())
        queue.come(priority, self._now())
        place = Place(queue, priority, self._now)
        try:
            yield place
        finally:
            place.leave()

    def forget_others(self, replica_ids: Collection[str]) -> None:
        for replica_id in self._queues.keys() - replica_ids:
            del self._queues[replica_id]


class Place:
    """Of one request."""

    def __init__(self, queue: _Queue, priority: int, now: Callable[[], float]) -> None:
        self._queue = queue
        self._priority = priority
        self._now = now
        self._waits = True
        self._is_refused = False

    def begun(self) -> None:
        """Its first token is here."""
        self._waits = False
        self._queue.begin(self._priority, self._now())

    def refused(self, seconds: float) -> None:
        """The replica is full, and for so long, unless one of ours ends there."""
        self._is_refused = True
        self._queue.full_until = self._now() + seconds

    def leave(self) -> None:
        if self._waits:
            self._queue.go(self._priority)
        if not self._is_refused:
            self._queue.full_until = 0.0
