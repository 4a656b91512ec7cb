"""Which process may use which device. `assign` is the only way to get one.

The policy is a pure function of a snapshot; the assignment is written by one script that refuses
when the snapshot is no longer the newest, and then the policy looks again. So two callers never
get the same bytes, and nothing is over-committed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from services.cluster.errors import DevicesUnavailable, Overloaded
from services.cluster.records import Record
from services.cluster.store import Keys, Store

GIB = 1024**3
_NUM_TRIES = 50


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


def choose(snapshot: DeviceSnapshot, request: AssignmentRequest) -> tuple[DeviceRecord, ...]:
    """The devices to assign: best fit, so that whole devices stay free for those who need them.

    Raises DevicesUnavailable with what is needed, what is free and who holds the rest.
    """
    wanted = [
        device
        for device in snapshot.devices
        if request.host_id in (None, device.host_id) and request.kind in (None, device.kind)
    ]
    hosts = sorted({device.host_id for device in wanted})
    best: tuple[DeviceRecord, ...] | None = None
    for host in hosts:
        fitting = sorted(
            (d for d in wanted if d.host_id == host and _fits(snapshot, d, request)),
            key=lambda d: (snapshot.free_bytes(d), d.device_id),
        )
        found = tuple(fitting[: request.num_devices])
        if len(found) == request.num_devices and (
            best is None or _free(snapshot, found) < _free(snapshot, best)
        ):
            best = found
    if best is None:
        raise DevicesUnavailable(_refusal(snapshot, request, wanted))
    return best


def _fits(snapshot: DeviceSnapshot, device: DeviceRecord, request: AssignmentRequest) -> bool:
    if not device.healthy:
        return False
    if request.device_bytes == 0:
        return not snapshot.holders(device)
    return snapshot.free_bytes(device) >= request.device_bytes


def _free(snapshot: DeviceSnapshot, devices: Sequence[DeviceRecord]) -> int:
    return sum(snapshot.free_bytes(device) for device in devices)


def _refusal(
    snapshot: DeviceSnapshot, request: AssignmentRequest, devices: Sequence[DeviceRecord]
) -> str:
    kind = f" {request.kind}" if request.kind else ""
    each = f"{request.device_bytes / GIB:.1f} GiB" if request.device_bytes else "the whole device"
    need = f"{request.holder} needs {request.num_devices}{kind} device(s) of one host, {each} each."
    if not devices:
        return f"{need} No such device is known."
    lines = []
    for device in devices:
        held = ", ".join(
            f"{a.holder} ({a.device_bytes / GIB:.1f} GiB)"
            if a.device_bytes
            else f"{a.holder} (all)"
            for a in snapshot.holders(device)
        )
        state = "" if device.healthy else f", unhealthy: {device.detail}"
        free = snapshot.free_bytes(device) / GIB
        total = device.total_bytes / GIB
        lines.append(
            f"{device.name} on {device.host_id}: {free:.1f} of {total:.1f} GiB free"
            f"{state}{', held by ' + held if held else ''}"
        )
    return f"{need} {'; '.join(lines)}."


# KEYS: devices, assignments, version.
_SNAPSHOT = """
return {redis.call('GET', KEYS[3]) or '0', redis.call('HVALS', KEYS[1]),
        redis.call('HVALS', KEYS[2])}
"""

# Writes an assignment if nothing changed since the snapshot, or answers the one the holder has.
_ASSIGN = """
local held = redis.call('HGET', KEYS[2], ARGV[1])
if held then return held end
if (redis.call('GET', KEYS[3]) or '0') ~= ARGV[2] then return false end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('INCR', KEYS[3])
return ARGV[3]
"""

_RELEASE = """
if redis.call('HDEL', KEYS[2], ARGV[1]) == 1 then redis.call('INCR', KEYS[3]) return 1 end
return 0
"""

# The version counts what assign reads: sizes and health, not bytes in use or temperatures.
_PUBLISH = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('INCR', KEYS[3])
"""

_KEYS = [Keys.DEVICES, Keys.ASSIGNMENTS, Keys.DEVICES_VERSION]
_HOST_DEVICES = TypeAdapter(list[DeviceRecord])


class Devices:
    """Raises StoreUnavailable while Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def publish(self, host_id: str, devices: Sequence[DeviceRecord]) -> None:
        """Replaces what is known of a host's devices."""
        text = _HOST_DEVICES.dump_json(list(devices)).decode()
        await self._store.run(_PUBLISH, _KEYS, [host_id, text])

    async def snapshot(self) -> DeviceSnapshot:
        version, hosts, assignments = await self._store.run(_SNAPSHOT, _KEYS, [])
        devices = [device for host in hosts for device in _HOST_DEVICES.validate_json(host)]
        return DeviceSnapshot(
            int(version),
            tuple(sorted(devices, key=lambda device: device.device_id)),
            tuple(AssignmentRecord.model_validate_json(text) for text in assignments),
        )

    async def assign(self, request: AssignmentRequest) -> AssignmentRecord:
        """Assigns devices, or answers what the holder has already.

        Raises DevicesUnavailable when the policy finds none.
        """
        for _ in range(_NUM_TRIES):
            snapshot = await self.snapshot()
            held = next((a for a in snapshot.assignments if a.holder == request.holder), None)
            if held:
                return held
            chosen = choose(snapshot, request)
            record = AssignmentRecord(
                holder=request.holder,
                host_id=chosen[0].host_id,
                device_ids=tuple(device.device_id for device in chosen),
                device_bytes=request.device_bytes,
                assigned_at=time.time(),
            )
            written = await self._store.run(
                _ASSIGN, _KEYS, [request.holder, str(snapshot.version), record.model_dump_json()]
            )
            if written:
                return AssignmentRecord.model_validate_json(written)
        raise Overloaded(
            f"Devices changed {_NUM_TRIES} times while {request.holder} was being placed.",
            retry_after_seconds=1,
        )

    async def release(self, holder: str) -> bool:
        """False when the holder had none. The caller has made sure that its processes are gone."""
        return bool(await self._store.run(_RELEASE, _KEYS, [holder]))
