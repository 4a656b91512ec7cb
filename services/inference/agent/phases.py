"""How a deployment is, from how its replicas are. A pure function; the sentences are for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.cluster.records import (
    DeploymentPhase,
    DeploymentRecord,
    ReplicaPhase,
    ReplicaRecord,
)

_NUM_TOLD = 3
_ON_THEIR_WAY = {
    ReplicaPhase.DOWNLOADING,
    ReplicaPhase.STARTING,
    ReplicaPhase.WARMING,
    ReplicaPhase.DRAINING,
}


def deployment_phase(
    deployment: DeploymentRecord,
    replicas: Mapping[str, ReplicaRecord],
    waits: Mapping[str, str],
) -> tuple[DeploymentPhase, str]:
    """Phase and detail.

    `replicas` are those of the registry by id. `waits` says of each wanted replica that has no
    record why not, as a sentence; "" stands for one that is about to start.
    """
    ids = deployment.replica_ids
    found = {i: replicas[i] for i in ids if i in replicas and _is_of(replicas[i], deployment)}
    ready = [i for i, replica in found.items() if replica.phase is ReplicaPhase.READY]
    if len(ready) == len(ids):
        return DeploymentPhase.READY, ""
    former = _still_serving(deployment, replicas)
    told = [_sentence(i, found.get(i), waits.get(i, "")) for i in ids if i not in ready]
    detail = _joined(told)
    if ready or former:
        before = f" {', '.join(former)} serves as before until then." if former else ""
        share = f"{len(ready)} of {len(ids)} replicas are ready."
        return DeploymentPhase.DEGRADED, f"{share}{before} {detail}"
    phases = {replica.phase for replica in found.values()}
    if phases & _ON_THEIR_WAY:
        return DeploymentPhase.STARTING, detail
    if ReplicaPhase.FAILED in phases:
        return DeploymentPhase.FAILED, detail
    if any(not waits.get(i, "") for i in ids):
        return DeploymentPhase.STARTING, detail
    return DeploymentPhase.PENDING, detail


def _is_of(replica: ReplicaRecord, deployment: DeploymentRecord) -> bool:
    """One that still runs what was wanted before the last change does not count."""
    return (replica.model, replica.engine) == (deployment.model, deployment.engine)


def _still_serving(
    deployment: DeploymentRecord, replicas: Mapping[str, ReplicaRecord]
) -> list[str]:
    """Replicas from before the last change, which go when the new ones are ready."""
    return sorted(
        replica.replica_id
        for replica in replicas.values()
        if replica.deployment_id == deployment.deployment_id
        and replica.replica_id not in deployment.replica_ids
        and replica.phase is ReplicaPhase.READY
    )


def _sentence(replica_id: str, replica: ReplicaRecord | None, wait: str) -> str:
    if replica is None:
        return wait or f"Replica {replica_id} is being started."
    if replica.phase is ReplicaPhase.FAILED:
        return _ended(f"Replica {replica_id} failed: {replica.detail or 'it gave no reason'}")
    if replica.phase is ReplicaPhase.DOWNLOADING and replica.detail:
        return _ended(replica.detail)
    return _ended(f"Replica {replica_id} is {replica.detail or replica.phase.value}")


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _joined(sentences: Sequence[str]) -> str:
    told = list(dict.fromkeys(sentences))
    more = len(told) - _NUM_TOLD
    return " ".join([*told[:_NUM_TOLD], *([f"And {more} more."] if more > 0 else [])])
