from __future__ import annotations

import pytest

from services.cluster.records import DeploymentPhase, ReplicaPhase
from services.inference.agent.phases import deployment_phase
from tests.inference.agent.specs import a_deployment, a_replica

READY, FAILED = ReplicaPhase.READY, ReplicaPhase.FAILED
STARTING, DRAINING = ReplicaPhase.STARTING, ReplicaPhase.DRAINING


@pytest.mark.parametrize(
    ("replicas", "phase"),
    [
        ((READY, READY), DeploymentPhase.READY),
        ((READY, STARTING), DeploymentPhase.DEGRADED),
        ((READY, FAILED), DeploymentPhase.DEGRADED),
        ((READY, None), DeploymentPhase.DEGRADED),
        ((STARTING, FAILED), DeploymentPhase.STARTING),
        ((DRAINING, None), DeploymentPhase.STARTING),
        ((FAILED, FAILED), DeploymentPhase.FAILED),
        ((FAILED, None), DeploymentPhase.FAILED),
        ((None, None), DeploymentPhase.PENDING),
    ],
)
def test_the_phase_follows_from_the_replicas(
    replicas: tuple[ReplicaPhase | None, ...], phase: DeploymentPhase
) -> None:
    records = {f"d-{n}": a_replica(f"d-{n}", p) for n, p in enumerate(replicas) if p}
    waits = {f"d-{n}": "No device fits." for n, p in enumerate(replicas) if p is None}
    assert deployment_phase(a_deployment(num_replicas=2), records, waits)[0] is phase


def test_a_replica_that_was_just_placed_is_starting() -> None:
    phase, detail = deployment_phase(a_deployment(), {}, {})
    assert phase is DeploymentPhase.STARTING
    assert detail == "Replica d-0 is being started."


def test_the_detail_says_what_a_replica_does_or_why_it_waits() -> None:
    records = {
        "d-0": a_replica("d-0", STARTING, detail="importing the engine"),
        "d-1": a_replica("d-1", FAILED, detail="vLLM cannot run it: no memory."),
    }
    deployment = a_deployment(num_replicas=3)
    _, detail = deployment_phase(deployment, records, {"d-2": "No device fits."})
    assert detail == (
        "Replica d-0 is importing the engine."
        " Replica d-1 failed: vLLM cannot run it: no memory."
        " No device fits."
    )


def test_weights_that_are_on_their_way_are_told_once() -> None:
    told = "Weights of m are being downloaded: 3.1 of 7.2 GB, about 4 minutes left."
    downloading = {
        f"d-{n}": a_replica(f"d-{n}", ReplicaPhase.DOWNLOADING, detail=told) for n in range(2)
    }
    found = deployment_phase(a_deployment(num_replicas=2), downloading, {})
    assert found == (DeploymentPhase.STARTING, told)


def test_many_sentences_are_cut_and_the_same_is_said_once() -> None:
    deployment = a_deployment(num_replicas=9)
    waits = {f"d-{n}": f"Reason {n}." for n in range(9)}
    assert deployment_phase(deployment, {}, waits)[1].endswith("Reason 2. And 6 more.")
    same = dict.fromkeys(waits, "No device fits.")
    assert deployment_phase(deployment, {}, same)[1] == "No device fits."


def test_a_replica_of_the_model_before_does_not_count() -> None:
    records = {"d-0": a_replica("d-0", READY, model="the/old")}
    assert deployment_phase(a_deployment(), records, {})[0] is DeploymentPhase.STARTING


def test_old_replicas_that_serve_on_are_named() -> None:
    records = {"d-0": a_replica("d-0"), "d-0.1": a_replica("d-0.1", FAILED, detail="No memory.")}
    phase, detail = deployment_phase(a_deployment(edition=1), records, {})
    assert phase is DeploymentPhase.DEGRADED
    assert detail == (
        "0 of 1 replicas are ready. d-0 serves as before until then."
        " Replica d-0.1 failed: No memory."
    )
    records["d-0.1"] = a_replica("d-0.1")
    assert deployment_phase(a_deployment(edition=1), records, {})[0] is DeploymentPhase.READY
