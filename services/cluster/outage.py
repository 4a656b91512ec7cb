"""What the age of a record says when Redis was away: nothing, for nobody could renew it."""

from __future__ import annotations


class Outage:
    """As one process saw it, by its calls. Times are of a monotonic clock, in seconds.

    After an outage everybody has `grace_seconds` to renew, and until then a record counts that
    expired no longer ago than the outage lasted.
    """

    def __init__(self, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._answered_at: float | None = None
        self._began_at = 0.0
        self._ended_at = float("-inf")
        self._is_away = False

    def failed(self, now: float) -> None:
        if self._is_away:
            return
        self._is_away = True
        if now - self._ended_at < self._grace_seconds:
            return  # in the grace of the last one not everybody has renewed: one long outage
        # A process that asks seldom learns late of it; how late is not known.
        earliest = now - self._grace_seconds
        self._began_at = max(earliest, self._answered_at or earliest)

    def answered(self, now: float) -> None:
        if self._is_away:
            self._is_away = False
            self._ended_at = now
        self._answered_at = now

    def lenience_seconds(self, now: float) -> float:
        """For how long after its time a record counts; 0 when all is well."""
        if self._is_away:
            return now - self._began_at
        if now - self._ended_at < self._grace_seconds:
            return self._ended_at - self._began_at
        return 0.0


class Contact:
    """Whether something that comes again and again has come for long, without a long gap."""

    def __init__(self, long_seconds: float) -> None:
        self._long_seconds = long_seconds
        self._came_at = self._since = float("-inf")

    def is_long(self, now: float) -> bool:
        """Counts one more coming."""
        if now - self._came_at > self._long_seconds:
            self._since = now
        self._came_at = now
        return now - self._since >= self._long_seconds
