"""The queues of replicas, on a clock of the test's own."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.upstream.queues import Place, Queues

CHAT, COMPLETION = 10, 0


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """One replica, and requests that are there until the scene ends."""

    def __init__(self, stack: ExitStack, max_queued: int, longest_seconds: float) -> None:
        self.clock = Clock()
        self.queues = Queues(max_queued, longest_seconds, self.clock)
        self._stack = stack

    def come(self, priority: int = COMPLETION) -> Place:
        return self._stack.enter_context(self.queues.place("r1", priority))

    def has_room(self, priority: int = COMPLETION) -> bool:
        return self.queues.has_room("r1", priority)

    def each(self, places: list[Place], seconds: float) -> None:
        """One of them begins after another."""
        for place in places:
            self.clock.now += seconds
            place.begun()


def test_so_many_may_wait_and_no_more() -> None:
    with ExitStack() as stack:
        scene = Scene(stack, 4, 100)
        places = []
        while scene.has_room():
            places.append(scene.come())
        assert len(places) == 4
        places[0].begun()
        assert scene.has_room()
    assert scene.has_room()


def test_a_quarter_is_kept_for_completions() -> None:
    with ExitStack() as stack:
        scene = Scene(stack, 8, 100)
        num_chats = 0
        while scene.has_room(CHAT):
            scene.come(CHAT)
            num_chats += 1
        assert num_chats == 6
        assert scene.has_room(COMPLETION)


def test_one_that_is_given_up_leaves_its_place() -> None:
    with ExitStack() as stack:
        scene = Scene(stack, 1, 100)
        with scene.queues.place("r1", COMPLETION):
            assert not scene.has_room()
        assert scene.has_room()


def test_the_wait_is_that_of_those_before() -> None:
    with ExitStack() as stack:
        scene = Scene(stack, 100, 60)
        assert scene.queues.wait_seconds("r1", CHAT) == 0
        scene.each([scene.come() for _ in range(10)][:5], 2.0)
        scene.come(CHAT)
        assert scene.queues.wait_seconds("r1", COMPLETION) == pytest.approx(5 * 2.0)
        assert scene.queues.wait_seconds("r1", CHAT) == pytest.approx(6 * 2.0)
        assert scene.queues.retry_seconds("r1") == pytest.approx(6 * 2.0)


def test_who_would_wait_for_longer_than_anybody_may_is_refused() -> None:
    with ExitStack() as stack:
        scene = Scene(stack, 1000, 60)
        scene.each([scene.come() for _ in range(10)], 2.0)
        num_taken = 0
        while scene.has_room():
            scene.come()
            num_taken += 1
        assert 30 <= num_taken <= 33
        scene.come(CHAT)
        assert not scene.has_room(CHAT)


def test_one_request_after_another_says_nothing_of_many() -> None:
    """Each takes 50 s to its first token; a batch may take all of the next ones at once."""
    with ExitStack() as stack:
        scene = Scene(stack, 100, 60)
        for _ in range(5):
            scene.each([scene.come()], 50.0)
        for _ in range(20):
            assert scene.has_room()
            scene.come()


def test_a_replica_that_stands_still_is_waited_for_longer_and_longer() -> None:
    with ExitStack() as stack:
        scene = Scene(stack, 100, 60)
        scene.each([scene.come() for _ in range(10)][:5], 0.5)
        before = scene.queues.wait_seconds("r1", COMPLETION)
        scene.clock.now += 30
        assert scene.queues.wait_seconds("r1", COMPLETION) > 5 * before


def test_a_replica_that_refused_is_full_until_one_ends_there() -> None:
    with ExitStack() as stack:
        scene = Scene(stack, 100, 60)
        with scene.queues.place("r1", COMPLETION) as runs:
            runs.begun()
            with scene.queues.place("r1", COMPLETION) as refused:
                refused.refused(1.0)
            assert not scene.has_room()
            scene.clock.now += 1.0
            assert scene.has_room()
            refused.refused(1.0)
            assert not scene.has_room()
        assert scene.has_room()


@given(st.lists(st.tuples(st.sampled_from("cgb"), st.floats(0, 500)), max_size=60))
def test_who_waits_alone_is_never_refused_and_estimates_are_bounded(
    steps: list[tuple[str, float]],
) -> None:
    """Whatever was before, an empty queue takes one: it heals by itself."""
    queues = Queues(8, 60, clock := Clock())
    places: list[tuple[ExitStack, Place]] = []
    for kind, seconds in steps:
        clock.now += seconds
        if kind == "c" and queues.has_room("r1", COMPLETION):
            stack = ExitStack()
            places.append((stack, stack.enter_context(queues.place("r1", COMPLETION))))
        elif kind != "c" and places:
            stack, place = places.pop(0)
            if kind == "b":
                place.begun()
            stack.close()
        assert 1 <= queues.retry_seconds("r1") <= 30
        assert len(places) <= 8
    for stack, _ in places:
        stack.close()
    assert queues.has_room("r1", CHAT)
