from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cluster.devices.assignments import Devices
from services.cluster.devices.policy import choose
from services.cluster.devices.records import (
    GIB,
    AssignmentRecord,
    AssignmentRequest,
    DeviceRecord,
    DeviceSnapshot,
)
from services.cluster.errors import DevicesUnavailable
from services.cluster.store.connection import Store


def a_device(name: str, host: str = "h1", gib: int = 24, *, healthy: bool = True) -> DeviceRecord:
    return DeviceRecord(
        device_id=name,
        host_id=host,
        kind="cuda",
        name="GPU",
        total_bytes=gib * GIB,
        healthy=healthy,
    )


async def test_concurrent_requests_never_share_what_is_exclusive(store: Store) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0"), a_device("g1")])
    asked = [devices.assign(AssignmentRequest(holder=f"replica/{n}")) for n in range(6)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    got = [answer for answer in answers if isinstance(answer, AssignmentRecord)]
    refused = [answer for answer in answers if isinstance(answer, DevicesUnavailable)]
    assert len(got) == 2
    assert len(refused) == 4
    assert {device for record in got for device in record.device_ids} == {"g0", "g1"}


async def test_asking_again_answers_what_the_holder_has(store: Store) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0"), a_device("g1")])
    first = await devices.assign(AssignmentRequest(holder="replica/a"))
    assert await devices.assign(AssignmentRequest(holder="replica/a")) == first
    assert await devices.release("replica/a")
    assert not await devices.release("replica/a")
    assert (await devices.snapshot()).assignments == ()


async def test_a_refusal_says_what_is_needed_what_is_free_and_who_holds_the_rest(
    store: Store,
) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0", gib=24)])
    await devices.assign(AssignmentRequest(holder="replica/a", device_bytes=20 * GIB))
    with pytest.raises(DevicesUnavailable) as refusal:
        await devices.assign(AssignmentRequest(holder="run/b", device_bytes=10 * GIB))
    message = refusal.value.message
    assert "run/b needs 1 device(s) of one host, 10.0 GiB each" in message
    assert "4.0 of 24.0 GiB free" in message
    assert "replica/a (20.0 GiB)" in message


def test_an_unhealthy_device_is_never_chosen() -> None:
    snapshot = DeviceSnapshot(0, (a_device("g0", healthy=False),), ())
    with pytest.raises(DevicesUnavailable, match="unhealthy"):
        choose(snapshot, AssignmentRequest(holder="replica/a"))


def test_k_devices_are_of_one_host() -> None:
    snapshot = DeviceSnapshot(
        0, (a_device("g0", "h1"), a_device("g1", "h2"), a_device("g2", "h2")), ()
    )
    chosen = choose(snapshot, AssignmentRequest(holder="replica/a", num_devices=2))
    assert {device.host_id for device in chosen} == {"h2"}


@given(
    sizes=st.lists(st.integers(1, 80), min_size=1, max_size=6),
    wants=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 40)), max_size=12),
)
def test_nothing_is_ever_over_committed(sizes: list[int], wants: list[tuple[int, int]]) -> None:
    devices = tuple(a_device(f"g{n}", f"h{n % 2}", size) for n, size in enumerate(sizes))
    assignments: list[AssignmentRecord] = []
    for number, (num_devices, gib) in enumerate(wants):
        snapshot = DeviceSnapshot(number, devices, tuple(assignments))
        request = AssignmentRequest(f"replica/{number}", num_devices, gib * GIB)
        try:
            chosen = choose(snapshot, request)
        except DevicesUnavailable:
            continue
        assignments.append(
            AssignmentRecord(
                holder=request.holder,
                host_id=chosen[0].host_id,
                device_ids=tuple(device.device_id for device in chosen),
                device_bytes=request.device_bytes,
                assigned_at=0.0,
            )
        )
    end = DeviceSnapshot(len(wants), devices, tuple(assignments))
    for device in devices:
        held = end.holders(device)
        assert len(held) <= 1 or all(record.device_bytes for record in held)
        assert sum(record.device_bytes for record in held) <= device.total_bytes
