"""What becomes of the replicas that a deployment had before it changed.

They serve until the new ones do. Where there is no room for both, one makes way at a time, and only
where a new one would fit then: a change that cannot be carried out costs nobody anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.cluster.devices.records import REPLICA_PREFIX, AssignmentRequest, DeviceSnapshot
from services.cluster.devices.room import room
from services.cluster.records import ReplicaPhase, ReplicaRecord
from services.inference.agent.reconcile import LocalPhase, LocalReplica, ReplicaSpec

# From ready on, until every gateway has heard of it and asks the old one no more.
SETTLE_SECONDS = 1.0


class Replacements:
    """Of one host. `look` first, in each pass; the rest answers for that moment."""

    def __init__(self) -> None:
        self._ready_at: dict[str, float] = {}
        self._making_way: set[str] = set()
        self._wanted: Mapping[str, ReplicaSpec] = {}
        self._replicas: Mapping[str, ReplicaRecord] = {}
        self._successors: dict[str, str] = {}
        self._kept: frozenset[str] = frozenset()
        self._leaving: set[str] = set()
        self._placed: set[str] = set()
        self.retry_at = float("inf")

    def look(
        self,
        wanted: Mapping[str, ReplicaSpec],
        local: Mapping[str, LocalReplica],
        replicas: Mapping[str, ReplicaRecord],
        placed: Iterable[str],
        now: float,
    ) -> frozenset[str]:
        """The replicas of this host that serve on although they are not wanted any more.

        `replicas` are those of the registry, `placed` those that have devices. `now` is of a
        monotonic clock, as `retry_at`.
        """
        self._wanted, self._replicas = wanted, replicas
        self._successors = successors(wanted, local)
        self._making_way &= local.keys()
        stopping = {i for i, replica in local.items() if replica.phase is LocalPhase.STOPPING}
        self._leaving = self._making_way | stopping
        self._placed = set(placed)
        ready = {new for new in self._successors.values() if self._is_ready(new)}
        self._ready_at = {new: self._ready_at.get(new, now) for new in ready}
        self.retry_at = min(
            (at + SETTLE_SECONDS for at in self._ready_at.values() if at + SETTLE_SECONDS > now),
            default=float("inf"),
        )
        self._kept = frozenset(
            old
            for old, new in self._successors.items()
            if self._is_ready(old)
            and old not in self._making_way
            and self._ready_at.get(new, now) + SETTLE_SECONDS > now
        )
        return self._kept

    def found_place(self, replica_id: str) -> None:
        self._placed.add(replica_id)

    def is_replaced(self, replica_id: str) -> bool:
        """Whether another one serves in its place, so that it may take its time to finish."""
        return self._successors.get(replica_id, "") in self._ready_at

    def make_way(self, spec: ReplicaSpec, request: AssignmentRequest, own: DeviceSnapshot) -> str:
        """Why a new replica that found no device waits for old ones, as a sentence.

        "" when it does not: none of them is here, or it would not fit without them either.
        """
        olds = [i for i, new in self._successors.items() if self._is_of(new, spec)]
        if going := [i for i in olds if i in self._leaving]:
            return _waits(spec, going)
        kept = [i for i in olds if i in self._kept]
        if not kept:
            return ""
        if coming := self._coming(spec):
            return (
                f"Replica {spec.replica_id} waits until {coming} is ready;"
                f" {', '.join(sorted(kept))} serves meanwhile."
            )
        if self._first_serving(spec) not in kept:
            return ""
        makers = room(own, request, {f"{REPLICA_PREFIX}{i}" for i in kept})
        if not makers:
            return ""
        going = [holder.removeprefix(REPLICA_PREFIX) for holder in makers]
        self._making_way.update(going)
        self._leaving |= set(going)
        return _waits(spec, going)

    def _coming(self, spec: ReplicaSpec) -> str:
        """Another new replica of the deployment that has found its place and is not ready yet."""
        coming = (
            replica_id
            for replica_id in self._placed
            if replica_id in self._wanted
            and self._is_of(replica_id, spec)
            and not self._is_ready(replica_id)
        )
        return min(coming, default="")

    def _first_serving(self, spec: ReplicaSpec) -> str:
        """The old replica of the cluster whose turn it is to go."""
        old = (
            record.replica_id
            for record in self._replicas.values()
            if record.deployment_id == spec.deployment_id
            and record.replica_id not in self._wanted
            and record.phase is ReplicaPhase.READY
        )
        return min(old, default="")

    def _is_of(self, replica_id: str, spec: ReplicaSpec) -> bool:
        return self._wanted[replica_id].deployment_id == spec.deployment_id

    def _is_ready(self, replica_id: str) -> bool:
        record = self._replicas.get(replica_id)
        return record is not None and record.phase is ReplicaPhase.READY


def successors(
    wanted: Mapping[str, ReplicaSpec], local: Mapping[str, LocalReplica]
) -> dict[str, str]:
    """The wanted replica that takes the place of each local one that is not wanted any more."""
    by_place = {(spec.deployment_id, spec.number): i for i, spec in wanted.items()}
    return {
        replica_id: by_place[place]
        for replica_id, replica in local.items()
        if replica_id not in wanted
        and (place := (replica.spec.deployment_id, replica.spec.number)) in by_place
    }


def _waits(spec: ReplicaSpec, going: list[str]) -> str:
    return (
        f"Replica {spec.replica_id} waits until {', '.join(sorted(going))} has given its devices"
        " back: there is no room for both."
    )
