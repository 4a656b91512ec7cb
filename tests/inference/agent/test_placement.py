from __future__ import annotations

from services.cluster.devices.records import GIB, AssignmentRecord, DeviceSnapshot
from services.inference.agent.placement import (
    device_kind,
    replica_assignments,
    request_for,
    simulate,
)
from tests.inference.agent.specs import a_deployment, a_device, a_spec, an_assignment

RUN = AssignmentRecord(
    holder="run/r", host_id="here", device_ids=("g0",), device_bytes=0, assigned_at=1.0
)


def test_only_replicas_are_looked_at() -> None:
    spec = a_spec()
    snapshot = DeviceSnapshot(0, (a_device("g0"),), (RUN, an_assignment(spec)))
    assert replica_assignments(snapshot.assignments) == {"d-0": an_assignment(spec)}


def test_a_cluster_with_gpus_serves_from_them() -> None:
    processors = a_device("cpu-here", kind="cpu")
    assert device_kind(DeviceSnapshot(0, (processors,), ())) == "cpu"
    mixed = DeviceSnapshot(0, (processors, a_device("g0", "there")), ())
    assert device_kind(mixed) == "cuda"


def test_no_host_is_named_unless_one_has_the_weights() -> None:
    assert request_for(a_spec(), "cuda").host_id is None


def test_a_plan_counts_its_own_replicas_as_free() -> None:
    deployment = a_deployment(num_replicas=2, device_bytes=10 * GIB)
    specs = [a_spec(deployment, 0), a_spec(deployment, 1)]
    devices = (a_device("g0"),)
    full = DeviceSnapshot(0, devices, tuple(an_assignment(spec) for spec in specs))
    placed, refusal = simulate(full, specs)
    assert [assignment.device_ids for assignment in placed] == [("g0",), ("g0",)]
    assert refusal == ""


def test_a_plan_that_does_not_fit_says_why() -> None:
    deployment = a_deployment(num_replicas=2, device_bytes=20 * GIB)
    specs = [a_spec(deployment, 0), a_spec(deployment, 1)]
    placed, refusal = simulate(DeviceSnapshot(0, (a_device("g0"),), ()), specs)
    assert len(placed) == 1
    assert "20.0 GiB each" in refusal
    assert "4.0 of 24.0 GiB free" in refusal
