from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cluster.devices.policy import choose, fit
from services.cluster.devices.records import (
    GIB,
    AssignmentRecord,
    AssignmentRequest,
    DeviceSnapshot,
)
from services.cluster.errors import DevicesUnavailable
from tests.cluster.devices.specs import a_device, an_assignment


def test_an_unhealthy_device_is_never_chosen() -> None:
    snapshot = DeviceSnapshot(0, (a_device("g0", healthy=False),), ())
    with pytest.raises(DevicesUnavailable, match="unhealthy: Xid 79"):
        choose(snapshot, AssignmentRequest(holder="replica/a"))


def test_k_devices_are_of_one_host_and_one_kind() -> None:
    snapshot = DeviceSnapshot(
        0,
        (
            a_device("g0", "h1"),
            a_device("c1", "h1", kind="cpu"),
            a_device("g1", "h2"),
            a_device("g2", "h2"),
        ),
        (),
    )
    chosen = choose(snapshot, AssignmentRequest(holder="replica/a", num_devices=2))
    assert {device.host_id for device in chosen} == {"h2"}


def test_whoever_asks_for_any_kind_gets_a_gpu_where_there_is_one() -> None:
    snapshot = DeviceSnapshot(0, (a_device("c", "h1", 1, kind="cpu"), a_device("g", "h2")), ())
    assert choose(snapshot, AssignmentRequest("replica/a"))[0].kind == "cuda"
    assert choose(snapshot, AssignmentRequest("replica/a", kind="cpu"))[0].kind == "cpu"


def test_a_device_of_another_host_with_the_same_name_is_another() -> None:
    twins = (a_device("g0", "h1"), a_device("g0", "h2"))
    snapshot = DeviceSnapshot(0, twins, (an_assignment("replica/a", ("g0",), host="h1"),))
    assert choose(snapshot, AssignmentRequest("replica/b"))[0].host_id == "h2"


def test_a_cluster_without_devices_says_so() -> None:
    with pytest.raises(DevicesUnavailable, match="No such device is known"):
        choose(DeviceSnapshot(0, (), ()), AssignmentRequest("replica/a"))


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
        chosen = fit(snapshot, request)
        if chosen:
            ids = tuple(device.device_id for device in chosen)
            assignments.append(an_assignment(request.holder, ids, gib, chosen[0].host_id))
    end = DeviceSnapshot(len(wants), devices, tuple(assignments))
    for device in devices:
        held = end.holders(device)
        assert len(held) <= 1 or all(record.device_bytes for record in held)
        assert sum(record.device_bytes for record in held) <= device.total_bytes
