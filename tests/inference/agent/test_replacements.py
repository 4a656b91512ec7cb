from __future__ import annotations

from collections.abc import Sequence

import pytest

from services.cluster.devices.records import GIB, DeviceSnapshot
from services.cluster.records import DeploymentRecord, ReplicaPhase, ReplicaRecord
from services.inference.agent.placement import request_for
from services.inference.agent.reconcile import LocalPhase, LocalReplica, ReplicaSpec, replica_specs
from services.inference.agent.replacements import SETTLE_SECONDS, Replacements
from tests.inference.agent.specs import MODEL, a_deployment, a_device, a_replica, an_assignment

TWO = ("g0", "g1")
READY, STARTING = ReplicaPhase.READY, ReplicaPhase.STARTING


class Changing:
    """A deployment that has changed while its old replicas serve, each on a GPU of this host."""

    def __init__(self, num: int = 1, device_bytes: int = 0) -> None:
        self.replacements = Replacements()
        wanted = a_deployment(num_replicas=num, device_bytes=device_bytes)
        self.old = self.specs(wanted)
        self.new = self.specs(wanted.model_copy(update={"edition": 1}))
        self.local = {
            spec.replica_id: LocalReplica(
                spec, an_assignment(spec, devices=(f"g{spec.number}",)), LocalPhase.RUNNING
            )
            for spec in self.old.values()
        }
        self.replicas: dict[str, ReplicaRecord] = {i: a_replica(i) for i in self.old}
        self.placed: list[str] = []

    @staticmethod
    def specs(wanted: DeploymentRecord) -> dict[str, ReplicaSpec]:
        return replica_specs([wanted], {MODEL.name: MODEL})

    def look(self, now: float = 0.0) -> set[str]:
        return set(self.replacements.look(self.new, self.local, self.replicas, self.placed, now))

    def make_way(self, replica_id: str = "d-0.1", gpus: Sequence[str] = ("g0",)) -> str:
        """On the GPUs that are not held by others."""
        assignments = tuple(replica.assignment for replica in self.local.values())
        devices = tuple(map(a_device, gpus))
        spec = self.new[replica_id]
        own = DeviceSnapshot(0, devices, assignments)
        return self.replacements.make_way(spec, request_for(spec, "cuda"), own)


def test_an_old_replica_serves_until_the_new_one_has_been_ready_for_a_moment() -> None:
    changing = Changing()
    assert changing.look() == {"d-0"}
    changing.replicas["d-0.1"] = a_replica("d-0.1", STARTING)
    assert changing.look(100.0) == {"d-0"}
    assert not changing.replacements.is_replaced("d-0")
    changing.replicas["d-0.1"] = a_replica("d-0.1", READY)
    assert changing.look(200.0) == {"d-0"}, "not every gateway has heard of it yet"
    assert changing.replacements.retry_at == 200.0 + SETTLE_SECONDS
    assert changing.replacements.is_replaced("d-0")
    assert changing.look(200.0 + SETTLE_SECONDS) == set()


def test_a_new_replica_that_fails_leaves_the_old_one_serving() -> None:
    changing = Changing()
    changing.replicas["d-0.1"] = a_replica("d-0.1", ReplicaPhase.FAILED)
    assert changing.look(1e6) == {"d-0"}


@pytest.mark.parametrize("phase", [STARTING, ReplicaPhase.DRAINING, ReplicaPhase.FAILED, None])
def test_an_old_replica_that_serves_nobody_is_not_kept(phase: ReplicaPhase | None) -> None:
    changing = Changing()
    changing.replicas = {"d-0": a_replica("d-0", phase)} if phase else {}
    assert changing.look() == set()


def test_a_deployment_that_is_gone_or_smaller_keeps_nothing() -> None:
    changing = Changing(num=2)
    del changing.new["d-1.1"]
    assert changing.look() == {"d-0"}
    changing.new.clear()
    assert changing.look() == set()


def test_without_room_for_both_the_old_one_goes_first_and_it_is_said() -> None:
    changing = Changing()
    changing.look()
    said = changing.make_way()
    assert said == (
        "Replica d-0.1 waits until d-0 has given its devices back: there is no room for both."
    )
    assert changing.look() == set()
    assert not changing.replacements.is_replaced("d-0"), "nobody serves in its place"
    assert changing.make_way() == said, "until it is gone"


def test_nothing_goes_for_what_would_not_fit_then_either() -> None:
    changing = Changing(device_bytes=25 * GIB)
    changing.look()
    assert changing.make_way() == ""
    assert changing.look() == {"d-0"}


def test_replicas_make_way_one_at_a_time() -> None:
    changing = Changing(num=2)
    changing.look()
    assert "d-0 has given" in changing.make_way("d-0.1", TWO)
    assert "d-0 has given" in changing.make_way("d-1.1", TWO)
    assert changing.look() == {"d-1"}
    # The first new one has its devices now; the second old one serves until that is ready.
    del changing.local["d-0"], changing.replicas["d-0"]
    changing.look()
    changing.replacements.found_place("d-0.1")
    assert changing.make_way("d-1.1", TWO) == (
        "Replica d-1.1 waits until d-0.1 is ready; d-1 serves meanwhile."
    )
    changing.placed = ["d-0.1"]
    changing.replicas["d-0.1"] = a_replica("d-0.1", READY)
    assert changing.look() == {"d-1"}
    assert "d-1 has given" in changing.make_way("d-1.1", ["g1"])


def test_of_several_hosts_one_begins() -> None:
    changing = Changing(num=2)
    elsewhere = a_replica("d-0", host_id="there")
    del changing.local["d-0"]
    changing.replicas = {"d-0": elsewhere, "d-1": a_replica("d-1")}
    changing.look()
    assert changing.make_way("d-1.1", TWO) == "", "it is the turn of d-0, on the other host"
