"""Circuit breakers, on a clock of the test's own."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.gateway.upstream.breakers import (
    FIRST_OPEN_SECONDS,
    LONGEST_OPEN_SECONDS,
    NUM_LATE,
    Attempt,
    Breakers,
    BreakerState,
    Failure,
)

PEER = "r1"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breakers(clock: Clock) -> Breakers:
    return Breakers(clock)


def fail(breakers: Breakers, failure: Failure = Failure.LOST) -> None:
    with breakers.attempt(PEER) as attempt:
        attempt.failed(failure)


def test_one_lost_connection_opens_for_a_second(breakers: Breakers, clock: Clock) -> None:
    assert breakers.admits(PEER)
    fail(breakers)
    assert breakers.state(PEER) is BreakerState.OPEN
    assert not breakers.admits(PEER)
    assert breakers.wait_seconds(PEER) == FIRST_OPEN_SECONDS
    clock.pass_(FIRST_OPEN_SECONDS)
    assert breakers.admits(PEER)


def test_each_probe_that_fails_doubles_the_wait_up_to_a_limit(
    breakers: Breakers, clock: Clock
) -> None:
    waits = []
    for _ in range(8):
        fail(breakers)
        waits.append(breakers.wait_seconds(PEER))
        clock.pass_(waits[-1])
    assert waits[:6] == [1, 2, 4, 8, 16, LONGEST_OPEN_SECONDS]
    assert waits[-1] == LONGEST_OPEN_SECONDS
    with breakers.attempt(PEER) as attempt:
        attempt.heard()
    fail(breakers)
    assert breakers.wait_seconds(PEER) == FIRST_OPEN_SECONDS


def test_what_fails_together_opens_once(breakers: Breakers) -> None:
    attempts = [breakers.attempt(PEER) for _ in range(10)]
    for attempt in attempts:
        with attempt:
            attempt.failed(Failure.LOST)
    assert breakers.wait_seconds(PEER) == FIRST_OPEN_SECONDS


def test_deadlines_open_only_in_a_row(breakers: Breakers, clock: Clock) -> None:
    for _ in range(NUM_LATE - 1):
        fail(breakers, Failure.LATE)
    with breakers.attempt(PEER) as attempt:
        attempt.heard()
    clock.pass_(1)
    for _ in range(NUM_LATE - 1):
        fail(breakers, Failure.LATE)
        assert breakers.admits(PEER)
    fail(breakers, Failure.LATE)
    assert not breakers.admits(PEER)


def test_a_deadline_while_others_are_answered_is_no_failure(
    breakers: Breakers, clock: Clock
) -> None:
    """A full replica is slow; it is not gone."""
    late = [breakers.attempt(PEER) for _ in range(2 * NUM_LATE)]
    with breakers.attempt(PEER) as other:
        clock.pass_(1)
        other.heard()
    for attempt in late:
        with attempt:
            clock.pass_(1)
            attempt.failed(Failure.LATE)
    assert breakers.state(PEER) is BreakerState.CLOSED


def test_one_probe_goes_and_no_other(breakers: Breakers, clock: Clock) -> None:
    fail(breakers)
    clock.pass_(FIRST_OPEN_SECONDS)
    with breakers.attempt(PEER, "a") as probe:
        assert breakers.state(PEER) is BreakerState.HALF_OPEN
        assert not breakers.admits(PEER, "b")
        assert not breakers.admits(PEER)
        assert breakers.wait_seconds(PEER) > 0
        assert breakers.admits(PEER, "a"), "the parts of one request go together"
        probe.heard()
        assert breakers.admits(PEER, "b")


def test_a_cancelled_probe_gives_its_place_back(breakers: Breakers, clock: Clock) -> None:
    fail(breakers)
    clock.pass_(FIRST_OPEN_SECONDS)
    with breakers.attempt(PEER):
        assert not breakers.admits(PEER)
    assert breakers.state(PEER) is BreakerState.OPEN
    assert breakers.admits(PEER)


def test_an_answer_to_an_older_request_closes(breakers: Breakers) -> None:
    with breakers.attempt(PEER) as older:
        fail(breakers)
        assert not breakers.admits(PEER)
        older.heard()
        assert breakers.admits(PEER)


def test_peers_are_apart_and_can_be_forgotten(breakers: Breakers, clock: Clock) -> None:
    fail(breakers)
    assert breakers.admits("r2")
    clock.pass_(FIRST_OPEN_SECONDS)
    with breakers.attempt(PEER) as probe:
        breakers.forget_others(["r2"])
        assert breakers.state(PEER) is BreakerState.CLOSED
        probe.failed(Failure.LOST)
    assert breakers.state(PEER) is BreakerState.CLOSED


class AnyOrder(RuleBasedStateMachine):
    """Requests, words, failures and time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.counts: Counter[BreakerState] = Counter({BreakerState.CLOSED: 1})
        self.breakers = Breakers(self.clock, self.moved)
        self.out: list[tuple[Attempt, str, bool]] = []  # with owner, and whether a probe
        self.longest_wait = 0.0

    def moved(self, before: BreakerState, after: BreakerState) -> None:
        self.counts[before] -= 1
        self.counts[after] += 1

    @rule(owner=st.sampled_from(["", "a", "b"]))
    def ask(self, owner: str) -> None:
        if self.breakers.admits(PEER, owner):
            is_probe = self.breakers.is_due(PEER, owner)
            self.out.append((self.breakers.attempt(PEER, owner), owner, is_probe))

    @precondition(lambda self: self.out)
    @rule(number=st.integers(0), failure=st.sampled_from([None, *Failure]))
    def leave(self, number: int, failure: Failure | None) -> None:
        attempt, _, _ = self.out.pop(number % len(self.out))
        with attempt:
            if failure:
                attempt.failed(failure)
        if self.breakers.state(PEER) is not BreakerState.HALF_OPEN:
            self.no_probes()

    def no_probes(self) -> None:
        self.out = [(attempt, owner, False) for attempt, owner, _ in self.out]

    @precondition(lambda self: self.out)
    @rule(number=st.integers(0))
    def hear(self, number: int) -> None:
        attempt, owner, _ = self.out[number % len(self.out)]
        attempt.heard()
        self.no_probes()
        assert self.breakers.state(PEER) is BreakerState.CLOSED
        assert self.breakers.admits(PEER, owner)

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.clock.pass_(seconds)

    @rule()
    def lose_for_good(self) -> None:
        """Whatever happened, it is asked again, and one answer is enough."""
        for attempt, _, _ in self.out:
            with attempt:
                attempt.failed(Failure.LOST)
        self.out.clear()
        self.clock.pass_(LONGEST_OPEN_SECONDS)
        assert self.breakers.admits(PEER)
        with self.breakers.attempt(PEER) as attempt:
            attempt.heard()
        assert self.breakers.state(PEER) is BreakerState.CLOSED

    @invariant()
    def the_wait_is_bounded(self) -> None:
        assert 0 <= self.breakers.wait_seconds(PEER) <= LONGEST_OPEN_SECONDS

    @invariant()
    def probes_are_of_one_owner(self) -> None:
        if self.breakers.state(PEER) is BreakerState.HALF_OPEN:
            probes = [owner for _, owner, is_probe in self.out if is_probe]
            assert len(probes) >= 1
            assert len(set(probes)) == 1
            assert len(probes) == 1 or probes[0]
            assert not self.breakers.admits(PEER, "another")

    @invariant()
    def whoever_counts_is_told(self) -> None:
        assert self.counts[self.breakers.state(PEER)] == 1
        assert sum(self.counts.values()) == 1

    @invariant()
    def nobody_is_let_through_before_its_time(self) -> None:
        if self.breakers.state(PEER) is BreakerState.OPEN:
            assert self.breakers.admits(PEER) == (self.breakers.wait_seconds(PEER) == 0)


AnyOrder.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
