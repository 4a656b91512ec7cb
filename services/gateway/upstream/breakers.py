"""Circuit breakers: who is asked nothing for a while, because what was asked got no answer.

    closed ──failed──► open ──time is up, one request goes──► half-open ──heard──► closed
                        ▲                                          │
                        └───────────────failed, for longer─────────┘

Does no I/O; the clock is given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType

from services.gateway.metrics import BREAKERS

FIRST_OPEN_SECONDS = 1.0
LONGEST_OPEN_SECONDS = 30.0
# Deadlines in a row, without a word to anybody between them, that stand for a lost connection.
NUM_LATE = 3
_PROBE_SECONDS = 1.0  # told to those who ask while a probe is out


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Failure(StrEnum):
    """`lost`: there is no connection, or what is there says that it cannot serve. `late`: a
    deadline passed in silence."""

    LOST = "lost"
    LATE = "late"


Moved = Callable[[BreakerState, BreakerState], None]


@dataclass
class _Breaker:
    """`num_openings` and `num_late` are in a row. The probes of `owner` are those in `probes`."""

    state: BreakerState = BreakerState.CLOSED
    num_openings: int = 0
    num_late: int = 0
    until: float = 0.0
    heard_at: float = -math.inf
    owner: str = ""
    probes: set[Attempt] = field(default_factory=set)


class Breakers:
    """One for each key, which is any name of a peer. `moved` is told of each change of a state."""

    def __init__(
        self, now: Callable[[], float] = time.monotonic, moved: Moved = lambda before, after: None
    ) -> None:
        self.now = now
        self._moved = moved
        self._breakers: dict[str, _Breaker] = {}

    def state(self, key: str) -> BreakerState:
        breaker = self._breakers.get(key)
        return breaker.state if breaker else BreakerState.CLOSED

    def admits(self, key: str, owner: str = "") -> bool:
        """Whether a request of `owner` may be sent."""
        return self.state(key) is BreakerState.CLOSED or self.is_due(key, owner)

    def is_due(self, key: str, owner: str = "") -> bool:
        """Whether the next attempt of `owner` is a probe.

        One owner's parts go together: alone, each of them would fail the others.
        """
        breaker = self._breakers.get(key)
        if breaker is None or breaker.state is BreakerState.CLOSED:
            return False
        if breaker.state is BreakerState.HALF_OPEN:
            return bool(owner) and owner == breaker.owner
        return self.now() >= breaker.until

    def wait_seconds(self, key: str) -> float:
        """Until it may be asked again, 0 for now."""
        breaker = self._breakers.get(key)
        if breaker is None or breaker.state is BreakerState.CLOSED:
            return 0.0
        if breaker.state is BreakerState.HALF_OPEN:
            return _PROBE_SECONDS
        return max(0.0, breaker.until - self.now())

    def attempt(self, key: str, owner: str = "") -> Attempt:
        """To be entered around one request that was admitted."""
        breaker = self._breakers.setdefault(key, _Breaker())
        attempt = Attempt(self, key, breaker)
        if self.is_due(key, owner):
            breaker.probes.add(attempt)
            breaker.owner = owner
            self._move(breaker, BreakerState.HALF_OPEN)
        return attempt

    def forget_others(self, keys: Collection[str]) -> None:
        """What was begun with another may end as it likes: nobody hears of it."""
        for key in self._breakers.keys() - keys:
            breaker = self._breakers.pop(key)
            breaker.probes.clear()
            self._move(breaker, BreakerState.CLOSED)

    def hear(self, breaker: _Breaker, now: float) -> None:
        breaker.heard_at = now
        breaker.num_late = 0
        if breaker.state is not BreakerState.CLOSED:
            breaker.num_openings = 0
            breaker.probes.clear()
            self._move(breaker, BreakerState.CLOSED)

    def fail(self, key: str, breaker: _Breaker, attempt: Attempt, failure: Failure) -> None:
        if self._breakers.get(key) is not breaker:
            return
        if breaker.state is not BreakerState.CLOSED and attempt not in breaker.probes:
            return  # begun before it opened: that is known by now
        if failure is Failure.LATE and breaker.state is BreakerState.CLOSED:
            if breaker.heard_at > attempt.heard_at:
                return  # it speaks to others: it is slow, not gone
            breaker.num_late += 1
            if breaker.num_late < NUM_LATE:
                return
        self._open(breaker)

    def give_back(self, breaker: _Breaker, attempt: Attempt) -> None:
        if attempt not in breaker.probes:
            return
        breaker.probes.remove(attempt)
        if not breaker.probes:
            self._move(breaker, BreakerState.OPEN)  # and due as before

    def _open(self, breaker: _Breaker) -> None:
        doubled = FIRST_OPEN_SECONDS * 2.0 ** min(breaker.num_openings, 16)
        seconds = min(doubled, LONGEST_OPEN_SECONDS)
        breaker.num_openings += 1
        breaker.num_late = 0
        breaker.until = self.now() + seconds
        breaker.probes.clear()
        self._move(breaker, BreakerState.OPEN)

    def _move(self, breaker: _Breaker, state: BreakerState) -> None:
        before, breaker.state = breaker.state, state
        if before is not state:
            self._moved(before, state)


class Attempt:
    """One request. Left without a word, as when it is cancelled, it says nothing of the peer."""

    def __init__(self, breakers: Breakers, key: str, breaker: _Breaker) -> None:
        self._breakers = breakers
        self._key = key
        self._breaker = breaker
        self.heard_at = breakers.now()

    def heard(self) -> None:
        """The peer answers, be it with a refusal. May be called for each word of it."""
        self.heard_at = self._breakers.now()
        self._breakers.hear(self._breaker, self.heard_at)

    def failed(self, failure: Failure) -> None:
        self._breakers.fail(self._key, self._breaker, self, failure)

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._breakers.give_back(self._breaker, self)


def count_states(before: BreakerState, after: BreakerState) -> None:
    """For `moved`: how many are not closed, for Prometheus."""
    if before is not BreakerState.CLOSED:
        BREAKERS.labels(before).dec()
    if after is not BreakerState.CLOSED:
        BREAKERS.labels(after).inc()
