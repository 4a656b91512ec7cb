"""When a job may run, by the wall clock of the people who need its devices for something else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, model_validator

from services.cluster.records import Record

_DAY_MINUTES = 24 * 60
_MAX_DAYS = 9  # from any moment on, a window that starts once a week has started by then


class TimeWindow(Record):
    """From `start_minute` of a day to `end_minute`, exclusive; at or before it: of the next day.

    `weekdays` on which it starts, 1 is Monday; none for all. `time_zone` is an IANA name. A minute
    that a clock change skips counts as the first one after the gap, one that it repeats as the
    first of the two.
    """

    start_minute: int = Field(ge=0, lt=_DAY_MINUTES)
    end_minute: int = Field(ge=0, lt=_DAY_MINUTES)
    weekdays: tuple[int, ...] = ()
    time_zone: str = "UTC"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not set(self.weekdays) <= set(range(1, 8)):
            raise ValueError("weekdays are numbers from 1, Monday, to 7, Sunday")
        if self.time_zone not in _time_zones():
            raise ValueError(
                f'{self.time_zone[:50]!r} is no time zone; use a name such as "Europe/Berlin"'
            )
        return self


def opening(window: TimeWindow, at: float) -> tuple[float, float]:
    """Unix seconds when the window opens and closes: the one that is open at `at`, or the next."""
    zone = ZoneInfo(window.time_zone)
    midnight = datetime.fromtimestamp(at, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    length = (window.end_minute - window.start_minute) % _DAY_MINUTES or _DAY_MINUTES
    for days in range(-2, _MAX_DAYS):
        day = (midnight + timedelta(days=days)).replace(fold=0)
        if window.weekdays and day.isoweekday() not in window.weekdays:
            continue
        opens_at = _moment(day, window.start_minute)
        closes_at = _moment(day, window.start_minute + length)
        if closes_at > max(at, opens_at):
            return opens_at, closes_at
    raise AssertionError("a window opens at least once a week")


def _moment(day: datetime, minute: int) -> float:
    """Of a wall clock that shows so many minutes after the day's midnight."""
    shown = (day.replace(tzinfo=None) + timedelta(minutes=minute)).replace(tzinfo=day.tzinfo)
    # Through UTC and back: a time that does not exist becomes one that does.
    return shown.astimezone(UTC).timestamp()


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())
