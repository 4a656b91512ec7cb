from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.cluster.devices.assignments import Devices
from services.cluster.devices.policy import fit
from services.cluster.devices.records import (
    GIB,
    AssignmentRecord,
    AssignmentRequest,
    DeviceSnapshot,
    RoomRequest,
)
from services.cluster.devices.room import (
    next_room,
    room,
    room_makers,
    yielding_replicas,
    yielding_runs,
)
from services.cluster.devices.rooms import Rooms
from services.cluster.records import DeploymentRecord
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from tests.cluster.devices.specs import a_device, an_assignment

RUN = AssignmentRequest("run/r", 1, 20 * GIB)
FOUR = DeviceSnapshot(
    0,
    (a_device("g0"), a_device("g1"), a_device("g2", "h2"), a_device("g3", "h2")),
    (
        an_assignment("replica/a", ("g0",), 3),
        an_assignment("replica/b", ("g0",), 3),
        an_assignment("replica/c", ("g1",)),
        an_assignment("replica/d", ("g2",), 12, host="h2"),
        an_assignment("replica/e", ("g3",), 6, host="h2"),
    ),
)
ALL = {a.holder for a in FOUR.assignments}


def deployment(deployment_id: str, *, yields: bool = True, num: int = 1) -> DeploymentRecord:
    return DeploymentRecord(
        deployment_id=deployment_id,
        model="m",
        num_replicas=num,
        yields_to_runs=yields,
        created_at=1.0,
        updated_at=1.0,
    )


def test_the_fewest_and_then_the_smallest_make_room() -> None:
    assert room(FOUR, RUN, ALL) == ("replica/a",)
    assert room(FOUR, RUN, {"replica/c", "replica/d", "replica/e"}) == ("replica/e",)
    assert room(FOUR, RUN, {"replica/c", "replica/d"}) == ("replica/d",)
    whole = AssignmentRequest("run/r")
    assert room(FOUR, whole, {"replica/a", "replica/b"}) == ("replica/a", "replica/b")


def test_nobody_is_asked_in_vain_or_without_need() -> None:
    assert room(FOUR, RUN, ()) is None
    assert room(FOUR, AssignmentRequest("run/r", 1, 30 * GIB), ALL) is None
    assert room(FOUR, AssignmentRequest("run/r", 1, 18 * GIB), ALL) == ()
    assert room(FOUR, AssignmentRequest("run/r", 1, 20 * GIB, host_id="h3"), ALL) is None


def test_those_who_were_asked_stay_asked_while_others_take_their_place() -> None:
    """`before` gave its bytes back, and somebody else was quicker."""
    taken = DeviceSnapshot(0, (a_device("g0"),), (an_assignment("replica/x", ("g0",), 20),))
    assert next_room(taken, RUN, {"replica/x"}, ["replica/old"]) == ("replica/old", "replica/x")
    assert next_room(FOUR, RUN, ALL, ["replica/e"]) == ("replica/e",)
    assert next_room(taken, RUN, (), ["replica/old"]) is None


def test_runs_that_may_be_asked_to_yield() -> None:
    run = an_assignment("run/x", ("g0",)).model_copy(update={"job_id": "x", "token": 3})
    snapshot = DeviceSnapshot(0, (a_device("g0"),), (run,))
    assert yielding_runs(snapshot, AssignmentRequest("replica/a"), {"run/x"}) == [run]
    assert yielding_runs(snapshot, AssignmentRequest("replica/a"), ()) == []


def test_only_deployments_that_yield_are_stopped() -> None:
    deployments = [deployment("a", num=2), deployment("b", yields=False)]
    assert yielding_replicas(deployments) == {"replica/a-0", "replica/a-1"}
    asked = RoomRequest(
        asker="run/r", num_devices=1, device_bytes=0, holders=("replica/a-1", "replica/b-0")
    )
    assert room_makers([asked], deployments) == {
        "a-1": "Replica a-1 makes room for run/r and comes back after it."
    }


sizes = st.lists(st.integers(4, 40), min_size=1, max_size=4)
held = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12), st.booleans()), max_size=8)


@settings(max_examples=300, deadline=None)
@given(sizes=sizes, held=held, k=st.integers(1, 2), gib=st.integers(0, 30))
def test_room_is_enough_and_none_of_it_too_much(
    sizes: list[int], held: list[tuple[int, int, bool]], k: int, gib: int
) -> None:
    devices = tuple(a_device(f"g{n}", f"h{n % 2}", size) for n, size in enumerate(sizes))
    assignments: list[AssignmentRecord] = []
    may: set[str] = set()
    for number, (where, size, yields) in enumerate(held):
        device = devices[where % len(devices)]
        holder = f"replica/{number}"
        now = DeviceSnapshot(0, (device,), tuple(assignments))
        if fit(now, AssignmentRequest(holder, 1, size * GIB)):
            assignments.append(an_assignment(holder, (device.device_id,), size, device.host_id))
            may |= {holder} if yields else set()
    snapshot = DeviceSnapshot(0, devices, tuple(assignments))
    request = AssignmentRequest("run/r", k, gib * GIB)

    def fits_without(holders: set[str]) -> bool:
        kept = tuple(a for a in assignments if a.holder not in holders)
        return fit(DeviceSnapshot(0, devices, kept), request) is not None

    found = room(snapshot, request, may)
    assert (found is None) == (not fits_without(may))
    assert (found == ()) == fits_without(set())
    if found:
        assert set(found) <= may
        assert fits_without(set(found))
        assert not any(fits_without(set(found) - {holder}) for holder in found)


async def test_a_request_lives_while_it_is_renewed_or_its_asker_has_devices(store: Store) -> None:
    devices, rooms = Devices(store), Rooms(store)
    await devices.publish("h1", [a_device("g0")])
    await devices.assign(AssignmentRequest("replica/a", 1, 10 * GIB))
    asked = await rooms.ask(await devices.snapshot(), RUN, {"replica/a"})
    assert asked is not None
    assert asked.holders == ("replica/a",)
    assert await rooms.live() == [asked]
    await store.redis.zadd(Keys.ROOM_BEATS, {"run/r": 1.0})
    assert await rooms.live() == []

    await rooms.ask(await devices.snapshot(), RUN, {"replica/a"})
    await devices.release("replica/a")
    await devices.assign(RUN)
    await store.redis.zadd(Keys.ROOM_BEATS, {"run/r": 1.0})
    assert await rooms.live() == [asked]
    await devices.release("run/r")
    assert await rooms.live() == []


async def test_a_request_that_can_not_be_met_is_withdrawn(store: Store) -> None:
    devices, rooms = Devices(store), Rooms(store)
    await devices.publish("h1", [a_device("g0")])
    await devices.assign(AssignmentRequest("replica/a", 1, 10 * GIB))
    assert await rooms.ask(await devices.snapshot(), RUN, {"replica/a"})
    await devices.assign(AssignmentRequest("replica/b", 1, 10 * GIB))
    assert await rooms.ask(await devices.snapshot(), RUN, {"replica/a"}) is None
    assert await rooms.live() == []
    await rooms.withdraw("run/r")
