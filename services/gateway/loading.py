"""How far a model is that does not answer yet, for people and for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.cluster.errors import NotReady
from services.cluster.records import DeploymentRecord, ReplicaPhase, ReplicaRecord

# The furthest first, with the seconds after which to look again.
_RETRY_SECONDS = {
    ReplicaPhase.WARMING: 2.0,
    ReplicaPhase.STARTING: 5.0,
    ReplicaPhase.DOWNLOADING: 30.0,
    ReplicaPhase.DRAINING: 5.0,
    ReplicaPhase.ASLEEP: 30.0,
    ReplicaPhase.FAILED: 30.0,
}
_ORDER = list(_RETRY_SECONDS)
_NO_REPLICA_SECONDS = 5.0


def not_ready(
    deployments: Sequence[DeploymentRecord], replicas: Iterable[ReplicaRecord]
) -> NotReady:
    """What to tell who asks for a model of which no replica is ready.

    `deployments` are those of the model, at least one. `replicas` of others are passed over.
    """
    ids = {deployment.deployment_id for deployment in deployments}
    model = deployments[0].model
    found = [
        replica
        for replica in replicas
        if replica.deployment_id in ids and replica.model == model and replica.phase in _ORDER
    ]
    found.sort(key=lambda r: (_ORDER.index(r.phase), -(_percent(r) or 0), r.replica_id))
    first = found[0] if found else None
    detail = " ".join(d.detail for d in deployments if d.detail) or (first.detail if first else "")
    phase = first.phase.value if first else deployments[0].phase.value
    percent = _percent(first) if first else None
    share = f" ({percent:.0f} %)" if percent is not None else ""
    return NotReady(
        f"{model} is {phase}{share}; no replica answers yet.{f' {detail}' if detail else ''}",
        param="model",
        retry_after_seconds=_retry_seconds(first),
        progress={
            "phase": phase,
            "percent": percent,
            "remaining_seconds": first.remaining_seconds if first else None,
            "detail": detail,
            "replicas": [
                {
                    "phase": replica.phase.value,
                    "percent": _percent(replica),
                    "remaining_seconds": replica.remaining_seconds,
                    "detail": replica.detail,
                }
                for replica in found
            ],
        },
    )


def _percent(replica: ReplicaRecord) -> float | None:
    """Of its weights that are here, None where they are not being downloaded."""
    if replica.phase is not ReplicaPhase.DOWNLOADING or not replica.total_bytes:
        return None
    return round(100 * min(replica.present_bytes / replica.total_bytes, 1.0), 1)


def _retry_seconds(first: ReplicaRecord | None) -> float:
    if first is None:
        return _NO_REPLICA_SECONDS
    longest = _RETRY_SECONDS[first.phase]
    left = first.remaining_seconds
    return longest if left is None else min(max(left, _NO_REPLICA_SECONDS), longest)
