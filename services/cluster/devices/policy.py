"""Which devices a request gets: pure functions of a snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from services.cluster.devices.records import GIB, AssignmentRequest, DeviceRecord, DeviceSnapshot
from services.cluster.errors import DevicesUnavailable


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
