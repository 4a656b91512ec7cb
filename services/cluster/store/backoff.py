"""How long to wait before Redis is asked again."""

from __future__ import annotations

import asyncio

from redis.backoff import EqualJitterBackoff

_BASE_SECONDS = 0.1
_CAP_SECONDS = 1.0


class Backoff:
    """Pauses that double with every failure in a row, up to a second; half of each is chance.

    Without the chance all who wait would come back at the same moment, again and again
    (Brooker, "Exponential Backoff And Jitter": equal jitter).
    """

    def __init__(
        self, base_seconds: float = _BASE_SECONDS, cap_seconds: float = _CAP_SECONDS
    ) -> None:
        self._policy = EqualJitterBackoff(cap=cap_seconds, base=base_seconds)
        self._num_failures = 0

    def reset(self) -> None:
        """After a success."""
        self._num_failures = 0

    def next_seconds(self) -> float:
        """Counts one more failure."""
        # Beyond 2**16 bases the cap has long held; a float would overflow at some day's end.
        self._num_failures = min(self._num_failures + 1, 16)
        return float(self._policy.compute(self._num_failures - 1))

    async def pause(self) -> None:
        await asyncio.sleep(self.next_seconds())
