from __future__ import annotations

from services.cluster.store.backoff import Backoff


def test_pauses_grow_to_a_second_and_are_never_none() -> None:
    for _ in range(100):
        backoff = Backoff()
        pauses = [backoff.next_seconds() for _ in range(1000)]
        for number, pause in enumerate(pauses):
            longest = min(1.0, 0.1 * 2**number)
            assert longest / 2 <= pause <= longest


def test_a_success_starts_again() -> None:
    backoff = Backoff()
    for _ in range(10):
        backoff.next_seconds()
    backoff.reset()
    assert backoff.next_seconds() <= 0.1


def test_two_that_failed_together_do_not_come_back_together() -> None:
    pauses = {Backoff().next_seconds() for _ in range(100)}
    assert len(pauses) == 100
