"""The replicas that this agent has started: their processes, and why those that ended did."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.cluster.devices.records import AssignmentRecord
from services.cluster.errors import StoreUnavailable
from services.cluster.records import ReplicaPhase, ReplicaRecord
from services.cluster.registry import Registry
from services.inference.agent.advice import advised
from services.inference.agent.metrics import REPLICA_ENDS, REPLICA_RESTARTS
from services.inference.agent.reconcile import LocalPhase, LocalReplica, ReplicaSpec
from services.inference.agent.replica_process import RETIRE, ReplicaProcess, describe_status
from services.inference.agent.restarts import CANNOT_WORK, Ending, after_end
from services.inference.weights.downloads import WeightsStatus

log = logging.getLogger(__name__)

_COULD_NOT_START = 127
_OBSTACLE_PAUSE_SECONDS = 10.0
_DOWNLOADING_PAUSE_SECONDS = 1.0
_STARTED = (ReplicaPhase.READY, ReplicaPhase.DRAINING, ReplicaPhase.ASLEEP)
_LONGEST_START_SECONDS = 900.0  # that others on its devices wait for it
_LONGEST_LOOK_SECONDS = 10.0  # that one look at the registry stands for
SILENT_SECONDS = 120.0  # after which one that had started and says nothing hangs
_HANGS = "it hung, gave no sign of life for minutes, and was killed; its log says what it did last"


@dataclass
class _Replica:
    """`process` is None when it has ended or never began; then `ending` says why.

    `refused` is the phase of one that was kept from being started, `weights` how far those are
    that it waits for. Of one that runs,
    `silent_seconds` is for how long its word was looked for and missed.
    """

    spec: ReplicaSpec
    assignment: AssignmentRecord
    process: ReplicaProcess | None = None
    ending: Ending | None = None
    stopping: asyncio.Task[None] | None = None
    watching: asyncio.Task[None] | None = None
    refused: ReplicaPhase | None = None
    weights: WeightsStatus | None = None
    started_at: float = field(default_factory=time.time)
    has_started: bool = False
    looked_at: float | None = None
    silent_seconds: float = 0.0
    hangs: bool = False

    def hear(self, record: ReplicaRecord | None, now: float) -> None:
        """Decides whether it `hangs`. `record` is what the registry has of it."""
        if self.process is None:
            return
        passed = 0.0 if self.looked_at is None else now - self.looked_at
        self.looked_at = now
        if record and record.pid == self.process.pid:
            self.has_started |= record.phase in _STARTED
            self.silent_seconds = 0.0
            return
        # While Redis was away nobody could be heard.
        self.silent_seconds += min(passed, _LONGEST_LOOK_SECONDS)
        longest = SILENT_SECONDS if self.has_started else _LONGEST_START_SECONDS
        self.hangs = self.silent_seconds >= longest

    def local(self, record: ReplicaRecord | None) -> LocalReplica:
        """`record` is what the registry has of it."""
        if self.process is None:
            retry_at = self.ending.retry_at if self.ending else 0.0
            return LocalReplica(self.spec, self.assignment, LocalPhase.ENDED, retry_at)
        phase = LocalPhase.STOPPING if self.stopping else LocalPhase.RUNNING
        said = record is not None and record.pid == self.process.pid and record.phase in _STARTED
        ready = said or time.time() - self.started_at > _LONGEST_START_SECONDS
        return LocalReplica(self.spec, self.assignment, phase, ready=ready)

    def ended_record(self, ending: Ending) -> ReplicaRecord:
        """What the others see in place of the word of a replica that has none."""
        return ReplicaRecord(
            replica_id=self.spec.replica_id,
            deployment_id=self.spec.deployment_id,
            model=self.spec.model_name,
            engine=self.spec.engine,
            host_id=self.assignment.host_id,
            phase=self.refused or (ReplicaPhase.FAILED if ending.failed else ReplicaPhase.STARTING),
            detail=ending.detail,
            device_ids=self.assignment.device_ids,
            present_bytes=self.weights.present_bytes if self.weights else 0,
            total_bytes=self.weights.total_bytes if self.weights else 0,
            remaining_seconds=self.weights.remaining_seconds if self.weights else None,
            started_at=self.started_at,
        )


class Replicas:
    """`changed` is called whenever one has ended."""

    def __init__(self, registry: Registry, logs: Path, changed: Callable[[], None]) -> None:
        self._registry = registry
        self._logs = logs
        self._changed = changed
        self._replicas: dict[str, _Replica] = {}

    def local(self, records: Mapping[str, ReplicaRecord]) -> dict[str, LocalReplica]:
        """By replica id; `records` are those of the registry."""
        return {i: replica.local(records.get(i)) for i, replica in self._replicas.items()}

    def end_hanging(self, records: Mapping[str, ReplicaRecord], now: float) -> None:
        """Kills those that run and are not heard of any more; `changed` tells that they ended.

        `now` is of a monotonic clock, and Redis has just answered.
        """
        for replica_id, replica in self._replicas.items():
            replica.hear(records.get(replica_id), now)
            if replica.process and replica.hangs:
                log.error("replica hangs", extra={"replica_id": replica_id})
                replica.process.kill()

    async def start(
        self,
        spec: ReplicaSpec,
        assignment: AssignmentRecord,
        command: Sequence[str],
        environment: Mapping[str, str],
    ) -> None:
        """Starts the process; what becomes of it is told by the registry and by `changed`."""
        replica = _Replica(spec, assignment, ending=self._last_ending(spec))
        output = self._logs / f"replica-{spec.replica_id}.out"
        try:
            replica.process = await ReplicaProcess.start(command, environment, output)
        except OSError as error:
            self._replicas[spec.replica_id] = replica
            self._end(replica, _COULD_NOT_START, f"its process cannot be started: {error}")
            return
        self._replicas[spec.replica_id] = replica
        if replica.ending:
            REPLICA_RESTARTS.labels(spec.deployment_id).inc()
        replica.watching = asyncio.create_task(
            self._watch(replica, replica.process), name=f"watch-{spec.replica_id}"
        )
        log.info(
            "replica started",
            extra={"replica_id": spec.replica_id, "replica_pid": replica.process.pid},
        )

    def refuse(
        self,
        spec: ReplicaSpec,
        assignment: AssignmentRecord,
        reason: str,
        phase: ReplicaPhase = ReplicaPhase.FAILED,
        weights: WeightsStatus | None = None,
    ) -> None:
        """Keeps it from being started for some time; the reason is a sentence.

        With `phase` DOWNLOADING nothing is wrong: its weights are on their way, `weights` far.
        """
        on_their_way = phase is ReplicaPhase.DOWNLOADING
        pause = _DOWNLOADING_PAUSE_SECONDS if on_their_way else _OBSTACLE_PAUSE_SECONDS
        before = self._replicas.get(spec.replica_id)
        self._replicas[spec.replica_id] = _Replica(
            spec,
            assignment,
            ending=Ending(CANNOT_WORK, reason, 1, time.monotonic() + pause),
            refused=phase,
            weights=weights,
            started_at=before.started_at if before else time.time(),
        )

    def stop(self, replica_id: str, grace_seconds: float) -> None:
        """Begins to stop it, or hurries it up; `changed` tells when it is gone."""
        self._end_process(replica_id, grace_seconds, signal.SIGTERM)

    def retire(self, replica_id: str, grace_seconds: float) -> None:
        """As `stop`, but it may take its time to finish what it has begun."""
        self._end_process(replica_id, grace_seconds, RETIRE)

    def _end_process(self, replica_id: str, grace_seconds: float, number: signal.Signals) -> None:
        replica = self._replicas[replica_id]
        if replica.process is None:
            return
        log.info("replica is stopped", extra={"replica_id": replica_id, "signal": number.name})
        before = replica.stopping
        replica.stopping = asyncio.create_task(
            replica.process.stop(grace_seconds, number, before), name=f"stop-{replica_id}"
        )

    async def forget(self, replica_id: str) -> None:
        """One that has ended and is not this agent's any more."""
        del self._replicas[replica_id]
        await self._registry.remove_replica(replica_id)

    async def beat(self) -> None:
        """Tells the others of those that have no process, which would be forgotten."""
        for replica in list(self._replicas.values()):
            if replica.process is None and replica.ending:
                await self._registry.put_replica(replica.ended_record(replica.ending))

    async def close(self) -> None:
        """Waits until all have stopped: `stop` was called for each."""
        tasks = [replica.watching for replica in self._replicas.values() if replica.watching]
        await asyncio.gather(*tasks)

    def _last_ending(self, spec: ReplicaSpec) -> Ending | None:
        """Counts go on only while the same is tried."""
        before = self._replicas.get(spec.replica_id)
        same = before is not None and before.spec == spec and before.refused is None
        return before.ending if before and same else None

    async def _watch(self, replica: _Replica, process: ReplicaProcess) -> None:
        began = time.monotonic()
        status = await process.wait()
        lived_seconds = time.monotonic() - began
        replica_id = replica.spec.replica_id
        if replica.stopping:
            await replica.stopping
            del self._replicas[replica_id]
            with contextlib.suppress(StoreUnavailable):  # then it is forgotten a little later
                await self._registry.remove_replica(replica_id)
            log.info("replica stopped", extra={"replica_id": replica_id, "status": status})
        else:
            said = await asyncio.to_thread(_reason, process, status)
            reason = _HANGS if replica.hangs else said
            self._end(replica, status, reason, lived_seconds)
            with contextlib.suppress(StoreUnavailable):
                await self.beat()
        self._changed()

    def _end(self, replica: _Replica, status: int, reason: str, lived_seconds: float = 0.0) -> None:
        reason = advised(reason)
        replica.process = None
        replica.ending = after_end(replica.ending, status, reason, lived_seconds, time.monotonic())
        REPLICA_ENDS.labels(replica.spec.deployment_id).inc()
        log.warning(
            "replica ended",
            extra={
                "replica_id": replica.spec.replica_id,
                "status": status,
                "reason": reason,
                "num_in_a_row": replica.ending.num_in_a_row,
            },
        )


def _reason(process: ReplicaProcess, status: int) -> str:
    if status < 0:
        return describe_status(status)
    return process.last_words() or describe_status(status)
