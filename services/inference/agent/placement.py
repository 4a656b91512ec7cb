"""What a replica asks of `cluster.devices.assign`, and what would become of a whole deployment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from services.cluster.devices.policy import choose
from services.cluster.devices.records import (
    REPLICA_PREFIX,
    AssignmentRecord,
    AssignmentRequest,
    DeviceSnapshot,
)
from services.cluster.errors import DevicesUnavailable
from services.cluster.records import deployment_of
from services.inference.agent.reconcile import ReplicaSpec


def replica_assignments(assignments: Iterable[AssignmentRecord]) -> dict[str, AssignmentRecord]:
    """Those of replicas, by replica id."""
    return {
        assignment.holder.removeprefix(REPLICA_PREFIX): assignment
        for assignment in assignments
        if assignment.holder.startswith(REPLICA_PREFIX)
    }


def _deployment_of(holder: str) -> str:
    """ "" for a holder that is no replica."""
    if not holder.startswith(REPLICA_PREFIX):
        return ""
    return deployment_of(holder.removeprefix(REPLICA_PREFIX))


def device_kind(snapshot: DeviceSnapshot) -> str:
    """A cluster that has GPUs serves from them: processors are for hosts among themselves."""
    return "cuda" if any(device.kind == "cuda" for device in snapshot.devices) else "cpu"


def request_for(spec: ReplicaSpec, kind: str) -> AssignmentRequest:
    return AssignmentRequest(
        holder=spec.holder,
        num_devices=spec.num_devices,
        device_bytes=spec.device_bytes,
        host_id=spec.host_id,
        kind=kind,
    )


def simulate(
    snapshot: DeviceSnapshot, specs: Iterable[ReplicaSpec]
) -> tuple[list[AssignmentRecord], str]:
    """Where the replicas would go, and why the first that finds no place does not; "" if all do.

    What replicas of the same deployments hold now counts as free: they would make room.
    """
    specs = list(specs)
    own = {spec.deployment_id for spec in specs}
    others = tuple(a for a in snapshot.assignments if _deployment_of(a.holder) not in own)
    placed: list[AssignmentRecord] = []
    for spec in specs:
        now = replace(snapshot, assignments=(*others, *placed))
        try:
            chosen = choose(now, request_for(spec, device_kind(now)))
        except DevicesUnavailable as refusal:
            return placed, refusal.message
        placed.append(
            AssignmentRecord(
                holder=spec.holder,
                host_id=chosen[0].host_id,
                device_ids=tuple(device.device_id for device in chosen),
                device_bytes=spec.device_bytes,
                assigned_at=0.0,
            )
        )
    return placed, ""
