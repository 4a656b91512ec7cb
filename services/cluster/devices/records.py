"""Devices, who holds them, and what may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from services.cluster.records import Record

GIB = 1024**3
KINDS = ("cuda", "cpu")
MAX_DEVICES = 16  # of one request: the largest hosts there are
QUARANTINE_PREFIX = "quarantine/"
REPLICA_PREFIX = "replica/"  # of a holder that is a replica


class DeviceProcess(Record):
    """A process that is on a device.

    `started` in clock ticks since the host's boot tells it from a later one with its pid; 0 where
    the process cannot be seen, as from a container. `assignment_id` and `holder` are those of its
    label, "" for none.
    """

    pid: int
    used_bytes: int = 0
    started: int = 0
    assignment_id: str = ""
    holder: str = ""

    @property
    def identity(self) -> str:
        return f"{self.pid}:{self.started}"


class DeviceRecord(Record):
    """A device as its host's agent sees it.

    `temperature` in degrees Celsius, `utilization` from 0 to 1; None where nothing tells.
    `processes` is None when the driver does not say who is on the device.
    """

    device_id: str
    host_id: str
    kind: str
    name: str
    total_bytes: int
    used_bytes: int = 0
    temperature: float | None = None
    utilization: float | None = None
    healthy: bool = True
    detail: str = ""
    processes: tuple[DeviceProcess, ...] | None = ()
    seen_at: float = 0.0

    @property
    def record_id(self) -> str:
        return self.device_id


class AssignmentRecord(Record):
    """`device_bytes` of each device belong to the holder; 0 stands for the whole device.

    `job_id` and `token` are those that it was asked for with, "" and 0 for a holder that is no job.
    `strangers` are the unlabelled processes that were on the devices before. In quarantine it has
    no holder any more: `holder` then only says whose it was.
    """

    assignment_id: str = ""
    holder: str
    host_id: str
    device_ids: tuple[str, ...]
    device_bytes: int
    assigned_at: float
    job_id: str = ""
    token: int = 0
    strangers: tuple[str, ...] = ()
    quarantined_at: float = 0.0

    @property
    def record_id(self) -> str:
        return self.assignment_id or self.holder

    @property
    def quarantined(self) -> bool:
        return self.quarantined_at > 0

    @property
    def first_holder(self) -> str:
        """Whose it was before a quarantine."""
        return self.holder.removeprefix(QUARANTINE_PREFIX)


@dataclass(frozen=True)
class AssignmentRequest:
    """k devices of one host and kind, each with so many bytes, or exclusive with `device_bytes` 0.

    A job names itself and its fencing token: then nothing is done unless it runs under that token.
    """

    holder: str
    num_devices: int = 1
    device_bytes: int = 0
    host_id: str | None = None
    kind: str | None = None
    job_id: str = ""
    token: int = 0


class RoomRequest(Record):
    """Somebody for whom `holders` shall make room, because what it asks for does not fit.

    It lives while its asker renews it or has an assignment.
    """

    asker: str
    num_devices: int
    device_bytes: int
    holders: tuple[str, ...]

    @property
    def record_id(self) -> str:
        return self.asker


@dataclass(frozen=True)
class DeviceSnapshot:
    """Devices of a host that was not heard of are in it, as unhealthy ones."""

    version: int
    devices: tuple[DeviceRecord, ...]
    assignments: tuple[AssignmentRecord, ...]

    def free_bytes(self, device: DeviceRecord) -> int:
        """What may still be assigned; 0 for a device that somebody has to himself."""
        held = self.holders(device)
        if any(assignment.device_bytes == 0 for assignment in held):
            return 0
        return max(device.total_bytes - sum(a.device_bytes for a in held), 0)

    def holders(self, device: DeviceRecord) -> list[AssignmentRecord]:
        """Those in quarantine too: their bytes are not free."""
        return [
            assignment
            for assignment in self.assignments
            if device.device_id in assignment.device_ids and assignment.host_id == device.host_id
        ]
