from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.cluster.jobs.windows import TimeWindow, opening

BERLIN = "Europe/Berlin"


def at(zone: str, *when: int) -> float:
    year, month, day, hour, minute = when
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone)).timestamp()


def hours(window: TimeWindow, moment: float) -> tuple[str, str]:
    zone = ZoneInfo(window.time_zone)
    opens_at, closes_at = opening(window, moment)
    shown = [datetime.fromtimestamp(x, zone).strftime("%m-%d %H:%M") for x in (opens_at, closes_at)]
    return shown[0], shown[1]


NIGHT = TimeWindow(start_minute=22 * 60, end_minute=6 * 60, time_zone=BERLIN)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ((2026, 11, 24, 12, 0), ("11-24 22:00", "11-25 06:00")),
        ((2026, 11, 24, 22, 0), ("11-24 22:00", "11-25 06:00")),
        ((2026, 11, 25, 5, 59), ("11-24 22:00", "11-25 06:00")),
        ((2026, 11, 25, 6, 0), ("11-25 22:00", "11-26 06:00")),
    ],
)
def test_a_night_is_the_open_one_or_the_next(
    when: tuple[int, ...], expected: tuple[str, str]
) -> None:
    assert hours(NIGHT, at(BERLIN, *when)) == expected


def test_weekdays_are_those_on_which_it_starts() -> None:
    friday = NIGHT.model_copy(update={"weekdays": (5,)})
    saturday_morning = at(BERLIN, 2026, 11, 28, 3, 0)
    assert hours(friday, saturday_morning) == ("11-27 22:00", "11-28 06:00")
    assert hours(friday, at(BERLIN, 2026, 11, 28, 7, 0)) == ("12-04 22:00", "12-05 06:00")


def test_a_clock_change_moves_the_hours_not_the_clock() -> None:
    before = at(BERLIN, 2026, 10, 24, 23, 0)  # the night has 25 hours
    opens_at, closes_at = opening(NIGHT, before)
    assert hours(NIGHT, before) == ("10-24 22:00", "10-25 06:00")
    assert closes_at - opens_at == 9 * 3600
    skipped = TimeWindow(start_minute=2 * 60 + 30, end_minute=4 * 60, time_zone=BERLIN)
    assert hours(skipped, at(BERLIN, 2026, 3, 29, 0, 0)) == ("03-29 03:30", "03-29 04:00")


def test_equal_minutes_are_a_whole_day() -> None:
    window = TimeWindow(start_minute=60, end_minute=60)
    opens_at, closes_at = opening(window, datetime(2026, 1, 5, 0, 59, tzinfo=UTC).timestamp())
    assert closes_at - opens_at == 24 * 3600


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"start_minute": 1440}, "less than 1440"),
        ({"end_minute": -1}, "greater than or equal to 0"),
        ({"weekdays": (0,)}, "weekdays are numbers from 1"),
        ({"time_zone": "Mars/Base"}, "is no time zone"),
        ({"time_zone": "../../etc/passwd"}, "is no time zone"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TimeWindow.model_validate({"start_minute": 0, "end_minute": 1, **wrong})


@given(
    start=st.integers(0, 1439),
    end=st.integers(0, 1439),
    weekdays=st.sets(st.integers(1, 7)),
    zone=st.sampled_from(
        ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
    ),
    moment=st.integers(1_700_000_000, 1_900_000_000),
)
def test_the_window_is_open_or_the_very_next(
    start: int, end: int, weekdays: set[int], zone: str, moment: int
) -> None:
    window = TimeWindow(
        start_minute=start, end_minute=end, weekdays=tuple(weekdays), time_zone=zone
    )
    opens_at, closes_at = opening(window, moment)
    assert opens_at < closes_at
    assert closes_at > moment
    assert closes_at - opens_at <= 26 * 3600
    assert opens_at - moment <= 8 * 24 * 3600
    if opens_at > moment:  # no earlier one is open at that time, nor opens before
        inside = (moment + opens_at) / 2
        assert opening(window, inside) == (opens_at, closes_at)
