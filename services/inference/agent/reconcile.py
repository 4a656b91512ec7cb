"""What an agent does next: which replicas it places, starts, stops and whose devices it releases.

Pure functions of what is wanted (deployments and models), what is assigned, and what this agent
runs. Nothing here reads a clock, a file or Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from services.cluster.devices.records import REPLICA_PREFIX, AssignmentRecord
from services.cluster.records import DeploymentRecord, ModelRecord
from services.inference.agent.sharding import Shape, Sharding, sharding


@dataclass(frozen=True)
class ReplicaSpec:
    """What a replica is started for. When it changes, the replica is started again.

    Adapters are not part of it: replicas load and unload them while they serve.
    """

    replica_id: str
    deployment_id: str
    engine: str
    model_name: str
    model: ModelRecord | None
    context_tokens: int
    num_devices: int
    device_bytes: int
    number: int = 0
    kv_cache_bytes: int = 0
    max_running_requests: int = 0
    quantization: str = ""
    speculative_tokens: int = 0

    @property
    def holder(self) -> str:
        return f"{REPLICA_PREFIX}{self.replica_id}"

    @property
    def sharding(self) -> Sharding:
        """How its devices work together; a deployment that none is found for was refused."""
        shape = Shape.of(self.model) if self.model else Shape()
        return sharding(shape, self.num_devices) or Sharding(self.num_devices)

    @property
    def host_id(self) -> str | None:
        """The only host that has the weights, None where any will do."""
        return (self.model.host_id if self.model else "") or None

    def suits(self, assignment: AssignmentRecord) -> bool:
        return (
            len(assignment.device_ids) == self.num_devices
            and assignment.device_bytes == self.device_bytes
            and self.host_id in (None, assignment.host_id)
        )


@dataclass(frozen=True)
class Host:
    """The agent's own host and the devices it has at the moment."""

    host_id: str
    device_ids: frozenset[str]

    def has(self, assignment: AssignmentRecord) -> bool:
        return self.device_ids.issuperset(assignment.device_ids)


class LocalPhase(StrEnum):
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"


@dataclass(frozen=True)
class LocalReplica:
    """A replica that this agent has started. `retry_at` is when one that ended is due again.

    `ready` says of one that runs whether its engine has started: no other starts beside it before,
    because an engine measures what its device has left.
    """

    spec: ReplicaSpec
    assignment: AssignmentRecord
    phase: LocalPhase
    retry_at: float = 0.0
    ready: bool = True


@dataclass
class Steps:
    """What to do now, by replica id; `retry_at` is when to look again at the latest.

    `renew` are those whose model has changed: their deployments need new replicas. `wait` says of
    those whose turn it is not yet why, as a sentence.
    """

    place: list[ReplicaSpec] = field(default_factory=list)
    start: list[tuple[ReplicaSpec, AssignmentRecord]] = field(default_factory=list)
    stop: list[str] = field(default_factory=list)
    forget: list[str] = field(default_factory=list)
    release: list[str] = field(default_factory=list)
    renew: list[str] = field(default_factory=list)
    wait: dict[str, str] = field(default_factory=dict)
    retry_at: float = float("inf")


def replica_specs(
    deployments: Collection[DeploymentRecord], models: Mapping[str, ModelRecord]
) -> dict[str, ReplicaSpec]:
    """Every replica that is wanted in the cluster, by its id: the deployment's and its number."""
    specs = (
        ReplicaSpec(
            replica_id=replica_id,
            deployment_id=deployment.deployment_id,
            engine=deployment.engine,
            model_name=deployment.model,
            model=models.get(deployment.model),
            context_tokens=deployment.context_tokens,
            num_devices=deployment.devices_per_replica,
            device_bytes=deployment.device_bytes,
            number=number,
            kv_cache_bytes=deployment.kv_cache_bytes,
            max_running_requests=deployment.max_running_requests,
            quantization=deployment.quantization,
            speculative_tokens=deployment.speculative_tokens,
        )
        for deployment in deployments
        for number, replica_id in enumerate(deployment.replica_ids)
    )
    return {spec.replica_id: spec for spec in specs}


def next_steps(
    wanted: Mapping[str, ReplicaSpec],
    local: Mapping[str, LocalReplica],
    assigned: Mapping[str, AssignmentRecord],
    host: Host,
    now: float,
    kept: Collection[str] = (),
) -> Steps:
    """`assigned` are the assignments of replicas, by replica id; `now` is on retry_at's clock.

    `kept` are those that serve on although they are not wanted any more.
    """
    steps = Steps()
    busy = _starting_on(local)
    for replica_id in sorted({*wanted, *local, *assigned}, key=_turn(local)):
        spec, assignment = wanted.get(replica_id), assigned.get(replica_id)
        mine = local.get(replica_id)
        if mine and mine.phase is LocalPhase.STOPPING:
            continue
        if mine and mine.phase is LocalPhase.RUNNING:
            if mine.assignment != assignment or (spec is None and replica_id not in kept):
                steps.stop.append(replica_id)
            elif spec and mine.spec != spec:
                alone = spec.model and replace(mine.spec, model=spec.model) == spec
                (steps.renew if alone else steps.stop).append(replica_id)
            continue
        here = assignment is not None and assignment.host_id == host.host_id
        if mine and (spec is None or not here):
            steps.forget.append(replica_id)
        if assignment is None:
            if spec:
                steps.place.append(spec)
        elif here:
            usable = spec is not None and spec.suits(assignment) and host.has(assignment)
            if spec is None or not usable:
                steps.release.append(replica_id)
            elif mine and mine.spec == spec and mine.retry_at > now:
                steps.retry_at = min(steps.retry_at, mine.retry_at)
            elif first := next((busy[d] for d in assignment.device_ids if d in busy), ""):
                steps.wait[replica_id] = (
                    f"Replica {replica_id} starts when {first} is ready, on the same device."
                )
            else:
                steps.start.append((spec, assignment))
                busy |= dict.fromkeys(assignment.device_ids, replica_id)
    return steps


def _turn(local: Mapping[str, LocalReplica]) -> Callable[[str], tuple[float, str]]:
    """In which order they start: one that fails again and again holds nobody up twice."""
    return lambda i: (local[i].retry_at if i in local else 0.0, i)


def _starting_on(local: Mapping[str, LocalReplica]) -> dict[str, str]:
    """Who is between its start and ready, by device."""
    return {
        device_id: replica_id
        for replica_id, replica in local.items()
        if replica.phase is LocalPhase.RUNNING and not replica.ready
        for device_id in replica.assignment.device_ids
    }
