from __future__ import annotations

from prometheus_client import REGISTRY

from services.cluster.records import ReplicaPhase
from services.inference.agent.metrics import count_replicas
from tests.inference.agent.specs import a_replica


def number(phase: str) -> float | None:
    return REGISTRY.get_sample_value("hearth_replicas", {"deployment": "d", "phase": phase})


def test_replicas_of_the_host_are_counted_by_phase() -> None:
    elsewhere = a_replica("d-9", host_id="there")
    count_replicas([a_replica("d-0"), a_replica("d-1"), elsewhere], "here")
    assert (number("ready"), number("failed")) == (2.0, None)
    count_replicas([a_replica("d-0", ReplicaPhase.FAILED)], "here")
    assert (number("ready"), number("failed")) == (None, 1.0)
