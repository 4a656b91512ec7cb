from __future__ import annotations

from services.inference.agent.restarts import CANNOT_WORK, Ending, after_end


def ends(num: int, lived_seconds: float = 1.0) -> list[Ending]:
    found: list[Ending] = []
    for _ in range(num):
        found.append(after_end(found[-1] if found else None, 3, "why", lived_seconds, 100.0))
    return found


def test_pauses_double_to_half_a_minute() -> None:
    assert [ending.retry_at - 100 for ending in ends(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_steady_minute_begins_anew() -> None:
    steady = after_end(ends(5)[-1], 3, "why", lived_seconds=60.0, now=100.0)
    assert (steady.num_in_a_row, steady.retry_at) == (1, 100.5)


def test_ending_once_is_no_failure_and_ending_again_and_again_is() -> None:
    assert [ending.failed for ending in ends(4)] == [False, False, True, True]
    assert ends(1)[0].detail == "being started again after it ended: why"
    assert ends(3)[-1].detail == "It ended 3 times in a row: why"


def test_what_waits_for_its_weights_has_not_failed() -> None:
    ending = Ending(CANNOT_WORK, "They come.", 1, 100.0, waits=True)
    assert not ending.failed
    assert ending.detail == "waiting for its weights. They come."


def test_what_cannot_work_fails_at_once_and_waits_long() -> None:
    ending = after_end(None, CANNOT_WORK, "There is no model.", 1.0, 100.0)
    assert ending.failed
    assert ending.detail == "There is no model."
    assert ending.retry_at >= 400
