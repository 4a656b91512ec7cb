"""Makes the replicas of this host match the deployments: carries out what `reconcile` decides."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection, Iterable, Mapping

from services.cluster.devices.assignments import Devices
from services.cluster.devices.records import REPLICA_PREFIX, AssignmentRecord, DeviceSnapshot
from services.cluster.devices.room import room_makers
from services.cluster.devices.rooms import Rooms
from services.cluster.errors import DevicesUnavailable, NotFound, Overloaded, StoreUnavailable
from services.cluster.records import DeploymentRecord, ReplicaPhase
from services.cluster.registry import BEAT_SECONDS, ClusterView, Registry
from services.cluster.registry_cache import RegistryCache
from services.cluster.tasks import end
from services.inference.agent.deployments import renewed
from services.inference.agent.launch import obstacle, replica_command, replica_environment
from services.inference.agent.metrics import count_replicas
from services.inference.agent.phase_writer import PhaseWriter
from services.inference.agent.placement import replica_assignments, request_for
from services.inference.agent.reconcile import (
    Host,
    LocalPhase,
    ReplicaSpec,
    next_steps,
    replica_specs,
)
from services.inference.agent.replacements import Replacements
from services.inference.agent.replicas import Replicas
from services.inference.agent.run_yields import RunYields
from services.inference.settings import InferenceSettings
from services.inference.weights.downloads import Downloads

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 7.0  # of an engine, after its requests have ended
_START_GRACE_SECONDS = 2.0  # a replica that is not ready has nothing to finish


class Supervisor:
    """`absences` says of a model that should be in the catalogue why it is not."""

    def __init__(
        self,
        registry: Registry,
        cache: RegistryCache,
        devices: Devices,
        rooms: Rooms,
        run_yields: RunYields,
        phases: PhaseWriter,
        settings: InferenceSettings,
        environment: Mapping[str, str],
        absences: Mapping[str, str],
        downloads: Downloads,
    ) -> None:
        self._registry = registry
        self._cache = cache
        self._devices = devices
        self._rooms = rooms
        self._run_yields = run_yields
        self._phases = phases
        self._settings = settings
        self._environment = environment
        self._absences = absences
        self._downloads = downloads
        self._due = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._replacements = Replacements()
        self._replicas = Replicas(registry, settings.data_dir / "logs", self._due.set)

    async def start(self) -> None:
        """Returns after a first pass. Raises StoreUnavailable."""
        await self.reconcile()
        self._task = asyncio.create_task(self._run(), name="supervisor")

    async def _run(self) -> None:
        """Pass after pass. A fault of one is logged, and replicas go on serving."""
        waking = asyncio.create_task(self._wake(), name="wake-supervisor")
        seconds, away = BEAT_SECONDS, False
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), seconds)
            self._due.clear()
            seconds = BEAT_SECONDS
            try:
                retry_at = await self.reconcile()
                seconds = max(min(BEAT_SECONDS, retry_at - time.monotonic()), 0)
                away = False
            except StoreUnavailable as error:
                if not away:
                    log.warning("reconciling waits for Redis", extra={"reason": error.message})
                away = True
            except Exception:
                log.exception("reconciling failed")  # the boundary of the loop
        await end(waking)

    async def reconcile(self) -> float:
        """One pass; when the next is due at the latest. Raises StoreUnavailable."""
        own = await self._devices.host_snapshot(self._settings.host_id)
        # After the snapshot: whoever placed a replica had seen its deployment.
        view = await self._registry.view()
        makers = room_makers(await self._rooms.live(), view.deployments.values())
        specs = replica_specs(view.deployments.values(), view.models)
        wanted = {i: spec for i, spec in specs.items() if i not in makers}
        held = await self._devices.held([spec.holder for spec in specs.values()])
        unwanted = [a for i, a in replica_assignments(own.assignments).items() if i not in specs]
        assigned = replica_assignments([*unwanted, *held])
        now = time.monotonic()
        self._replicas.end_hanging(view.replicas, now)
        local = self._replicas.local(view.replicas)
        kept = self._replacements.look(wanted, local, view.replicas, assigned, now)
        steps = next_steps(wanted, local, assigned, self._host(own), now, kept)
        for replica_id in steps.renew:
            await self._renew(specs[replica_id].deployment_id, view.deployments)
        for replica_id in steps.stop:
            self._stop(replica_id)
        for replica_id in steps.forget:
            await self._replicas.forget(replica_id)
        for replica_id in steps.release:
            await self._devices.release(f"{REPLICA_PREFIX}{replica_id}")
            self._due.set()
        started = [await self._start(spec, place, own) for spec, place in steps.start]
        if steps.wait and not all(started):
            self._due.set()  # one that was refused holds nobody up
        for replica_id in steps.wait:
            await self._lacks_weights(specs[replica_id], assigned[replica_id])
        yielding = {d.deployment_id for d in view.deployments.values() if d.yields_to_runs}
        waits = makers | steps.wait | await self._place(steps.place, yielding, own)
        await self._replicas.beat()
        count_replicas(self._cache.view.replicas.values(), self._settings.host_id)
        if self._phases.leads(self._cache.view):
            waits |= agentless(wanted.keys() & assigned.keys(), assigned, self._cache.view)
            await self._phases.write(view.deployments, self._cache.view.replicas, waits)
        return min(steps.retry_at, self._replacements.retry_at)

    async def _renew(self, deployment_id: str, seen: Mapping[str, DeploymentRecord]) -> None:
        """New replicas for a model whose files have changed; once, whichever agent is first."""

        def renew(record: DeploymentRecord) -> DeploymentRecord:
            is_first = record.edition == seen[deployment_id].edition
            return renewed(record) if is_first else record

        with contextlib.suppress(NotFound):  # deleted meanwhile
            await self._registry.change_deployment(deployment_id, renew)
        self._due.set()

    async def stop(self) -> None:
        """Ends all replicas and gives their devices back, after the pass that runs."""
        self._stopping = True
        self._due.set()
        if self._task:
            await self._task
        for replica_id, replica in self._replicas.local({}).items():
            if replica.phase is not LocalPhase.ENDED:
                self._stop(replica_id, hurry=True)
        await self._replicas.close()
        try:
            await self._withdraw()
        except StoreUnavailable as error:
            log.warning("the registry keeps what has ended", extra={"reason": error.message})

    async def _withdraw(self) -> None:
        """Devices first, so that no other agent places anything on this host again."""
        host_id = self._settings.host_id
        await self._devices.publish(host_id, [])
        for assignment in replica_assignments(
            (await self._devices.host_snapshot(host_id)).assignments
        ).values():
            await self._devices.release(assignment.holder)
        view = await self._registry.view()
        for replica in view.replicas.values():
            if replica.host_id == host_id:
                await self._registry.remove_replica(replica.replica_id)
        if self._phases.leads(view):
            wanted = replica_specs(view.deployments.values(), view.models)
            remaining = {i: r for i, r in view.replicas.items() if r.host_id != host_id}
            reason = f"The inference agent of host {host_id} was stopped."
            await self._phases.write(view.deployments, remaining, dict.fromkeys(wanted, reason))

    async def _wake(self) -> None:
        while True:
            await self._cache.changed()
            self._due.set()

    def _host(self, own: DeviceSnapshot) -> Host:
        return Host(self._settings.host_id, frozenset(d.device_id for d in own.devices))

    def _stop(self, replica_id: str, *, hurry: bool = False) -> None:
        replica = self._cache.view.replicas.get(replica_id)
        serving = replica and replica.phase in (ReplicaPhase.READY, ReplicaPhase.DRAINING)
        drain_seconds = self._settings.drain_seconds + _CLOSE_SECONDS
        if hurry or not self._replacements.is_replaced(replica_id):
            self._replicas.stop(replica_id, drain_seconds if serving else _START_GRACE_SECONDS)
        else:
            self._replicas.retire(replica_id, self._settings.retire_seconds + drain_seconds)

    async def _start(
        self, spec: ReplicaSpec, assignment: AssignmentRecord, own: DeviceSnapshot
    ) -> bool:
        """Whether it is started; else it is refused for some time."""
        devices = [d for d in own.devices if d.device_id in assignment.device_ids]
        kind, sizes = devices[0].kind, [device.total_bytes for device in devices]
        if await self._lacks_weights(spec, assignment):
            return False
        if problem := await asyncio.to_thread(obstacle, spec, kind, self._settings, min(sizes)):
            self._replicas.refuse(spec, assignment, problem)
            return False
        command = replica_command(spec, assignment, kind, self._settings, max(sizes))
        environment = replica_environment(self._environment, assignment, kind, self._settings)
        await self._replicas.start(spec, assignment, command, environment)
        return True

    async def _lacks_weights(self, spec: ReplicaSpec, assignment: AssignmentRecord) -> bool:
        """They are fetched then, also while another replica starts on its devices."""
        needed = spec.model if spec.engine != "echo" else None
        problem, on_their_way = await self._downloads.hindrance(needed)
        if problem:
            phase = ReplicaPhase.DOWNLOADING if on_their_way else ReplicaPhase.FAILED
            weights = await self._downloads.status(needed) if needed and on_their_way else None
            self._replicas.refuse(spec, assignment, problem, phase, weights)
        return bool(problem)

    async def _place(
        self, specs: Iterable[ReplicaSpec], yielding: Collection[str], own: DeviceSnapshot
    ) -> dict[str, str]:
        """Asks for devices; by replica id why there are none, as a sentence.

        What the deployment was before makes way; else runs give theirs back for a deployment,
        unless it is one that yields to them.
        """
        refusals: dict[str, str] = {}
        kind = "cuda" if await self._devices.has_gpus() else "cpu"
        for spec in specs:
            if spec.model is None and spec.engine != "echo":
                absent = f"There is no model {spec.model_name} in the catalogue."
                refusals[spec.replica_id] = self._absences.get(spec.model_name, absent)
                continue
            request = request_for(spec, kind)
            try:
                await self._devices.assign(request)
            except (DevicesUnavailable, Overloaded) as refusal:
                refusals[spec.replica_id] = refusal.message
                if way := self._replacements.make_way(spec, request, own):
                    refusals[spec.replica_id] = way
                    self._due.set()
                elif spec.deployment_id not in yielding and (
                    asked := await self._run_yields.ask(request)
                ):
                    runs = ", ".join(asked)
                    refusals[spec.replica_id] = f"Waits until {runs} has given devices back."
            else:
                self._replacements.found_place(spec.replica_id)
                self._due.set()
        return refusals


def agentless(
    replica_ids: Iterable[str], assigned: Mapping[str, AssignmentRecord], view: ClusterView
) -> dict[str, str]:
    """Replicas whose host has no agent that answers, with the sentence that says so."""
    hosts = {p.host_id for p in view.processes.values() if p.service == "inference"}
    return {
        replica_id: f"Replica {replica_id} is placed on host {assigned[replica_id].host_id},"
        " whose agent does not answer."
        for replica_id in replica_ids
        if assigned[replica_id].host_id not in hosts
    }
