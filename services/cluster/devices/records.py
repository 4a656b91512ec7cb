"""Devices, who holds them, and what may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from services.cluster.records import Record

GIB = 1024**3


class DeviceRecord(Record):
    """A device as its host's agent sees it. `temperature` in degrees Celsius."""

    device_id: str
    host_id: str
    kind: str
    name: str
    total_bytes: int
    used_bytes: int = 0
    temperature: float | None = None
    healthy: bool = True
    detail: str = ""
    seen_at: float = 0.0

    @property
    def record_id(self) -> str:
        return self.device_id


class AssignmentRecord(Record):
    """`device_bytes` of each device belong to the holder; 0 stands for the whole device."""

    holder: str
    host_id: str
    device_ids: tuple[str, ...]
    device_bytes: int
    assigned_at: float

    @property
    def record_id(self) -> str:
        return self.holder


@dataclass(frozen=True)
class AssignmentRequest:
    """k devices of one host, each with so many bytes, or exclusive with `device_bytes` 0."""

    holder: str
    num_devices: int = 1
    device_bytes: int = 0
    host_id: str | None = None
    kind: str | None = None


@dataclass(frozen=True)
class DeviceSnapshot:
    version: int
    devices: tuple[DeviceRecord, ...]
    assignments: tuple[AssignmentRecord, ...]

    def free_bytes(self, device: DeviceRecord) -> int:
        """What may still be assigned; 0 for a device that somebody has to himself."""
        held = self.holders(device)
        if any(assignment.device_bytes == 0 for assignment in held):
            return 0
        return device.total_bytes - sum(assignment.device_bytes for assignment in held)

    def holders(self, device: DeviceRecord) -> list[AssignmentRecord]:
        return [a for a in self.assignments if device.device_id in a.device_ids]
