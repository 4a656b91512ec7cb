"""A simulated host: the double's GPUs, processes that only exist on paper, and its agent's passes.

What is simulated is who runs where and who dies when. Fingerprints, quarantines, scripts and Redis
are the product's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

from services.cluster.devices.assignments import Devices
from services.cluster.devices.fingerprint import Fingerprint, Fingerprints
from services.cluster.devices.labels import HostProcess
from services.cluster.devices.nvml_double import SICK_FILE, NvmlDouble
from services.cluster.devices.quarantine import remaining
from services.cluster.devices.records import AssignmentRecord, DeviceProcess
from services.cluster.settings import ClusterSettings
from services.inference.agent.quarantines import Quarantines, clear_predecessor

_PIDS = itertools.count(2**22 + 1)  # beyond what a kernel gives out: no real one is meant


class PaperFingerprints(Fingerprints):
    """Of the double, with the paper processes as if NVML and /proc had shown them."""

    def __init__(self, settings: ClusterSettings) -> None:
        super().__init__(settings, NvmlDouble(settings))
        self.labelled: dict[int, HostProcess] = {}
        self.strangers: dict[int, str] = {}  # pid → device_id
        self.mortal = True  # else a killed process stays, as in the kernel's uninterruptible sleep

    def take(self) -> Fingerprint:
        seen = super().take()
        devices = tuple(
            device
            if device.processes is None
            else device.model_copy(update={"processes": tuple(self._on(device.device_id))})
            for device in seen.devices
        )
        return Fingerprint(devices, dict(self.labelled))

    def _on(self, device_id: str) -> list[DeviceProcess]:
        found = [
            DeviceProcess(pid=p.pid, started=1, assignment_id=p.assignment_id, holder=p.holder)
            for p in self.labelled.values()
            if device_id in p.device_ids
        ]
        here = [pid for pid, where in self.strangers.items() if where == device_id]
        return [*found, *(DeviceProcess(pid=pid, started=1) for pid in here)]


class PaperHost:
    def __init__(self, host_id: str, num_gpus: int, gib: int, devices: Devices, data: Path) -> None:
        self.settings = ClusterSettings(
            redis_url="unix:///nowhere",
            data_dir=data / host_id,
            host_id=host_id,
            nvml_double=True,
            nvml_double_gpus=",".join([str(gib)] * num_gpus),
        )
        (self.settings.data_dir / "tmp").mkdir(parents=True, exist_ok=True)
        self.host_id = host_id
        self.num_gpus = num_gpus
        self.devices = devices
        self.seen = PaperFingerprints(self.settings)
        self.quarantines = Quarantines(devices, grace_seconds=0)
        self.here = True

    def start(self, assignment: AssignmentRecord) -> HostProcess:
        """A process with the label of an assignment."""
        process = HostProcess(
            pid=next(_PIDS),
            started=1,
            group=0,
            session=0,
            resident_bytes=0,
            holder=assignment.holder,
            assignment_id=assignment.assignment_id,
            device_ids=frozenset(assignment.device_ids),
        )
        self.seen.labelled[process.pid] = process
        return process

    def end(self, assignment_id: str) -> None:
        """All of its processes."""
        self.seen.labelled = {
            pid: p for pid, p in self.seen.labelled.items() if p.assignment_id != assignment_id
        }

    def intrude(self, device_id: str) -> None:
        """A process that nobody knows."""
        self.seen.strangers[next(_PIDS)] = device_id

    def make_sick(self, index: int, reason: str) -> None:
        (self.settings.data_dir / SICK_FILE).write_text(f"{index} {reason}\n")

    def heal(self) -> None:
        (self.settings.data_dir / SICK_FILE).unlink(missing_ok=True)

    def in_the_way(self, assignment: AssignmentRecord) -> list[int]:
        """Pids that may be the old holder's and are on its devices."""
        labelled = self.seen.labelled.values()
        mine = [p.pid for p in labelled if p.assignment_id == assignment.assignment_id]
        return mine + [
            pid
            for pid, device_id in self.seen.strangers.items()
            if device_id in assignment.device_ids and f"{pid}:1" not in assignment.strangers
        ]

    def dismiss_newcomers(self, assignments: Iterable[AssignmentRecord]) -> None:
        """Unknown processes that came after an assignment; those before it may stay for ever."""
        for assignment in assignments:
            for pid in self.in_the_way(assignment):
                self.seen.strangers.pop(pid, None)

    async def look(self, now: float = 0.0) -> None:
        """A pass of its agent; whom it kills is dead afterwards."""
        self.here = True
        quarantined = await self.devices.quarantine_lost(self.host_id)
        seen = self.seen.take()
        await self.devices.publish(self.host_id, seen.devices)
        await self.quarantines.tend(quarantined, seen, now)
        kept = {
            a.assignment_id for a in (await self.devices.host_snapshot(self.host_id)).assignments
        }
        for assignment in quarantined:
            if assignment.assignment_id not in kept:
                assert not self.in_the_way(assignment)
        if self.seen.mortal:
            for assignment in quarantined:
                if remaining(assignment, seen):
                    self.end(assignment.assignment_id)

    async def restart(self) -> None:
        """Its replicas die with the agent, and the next one begins anew."""
        replicas = {i: p for i, p in self.seen.labelled.items() if p.holder.startswith("replica/")}
        for pid in replicas:
            del self.seen.labelled[pid]
        self.quarantines = Quarantines(self.devices, grace_seconds=0)
        await clear_predecessor(self.devices, self.host_id, self.seen)
        await self.look()
