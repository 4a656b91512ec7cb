"""Which devices a request gets: pure functions of a snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from services.cluster.devices.records import (
    GIB,
    KINDS,
    AssignmentRecord,
    AssignmentRequest,
    DeviceRecord,
    DeviceSnapshot,
)
from services.cluster.errors import DevicesUnavailable

_NUM_TOLD = 8


def choose(snapshot: DeviceSnapshot, request: AssignmentRequest) -> tuple[DeviceRecord, ...]:
    """The devices to assign: best fit, so that whole devices stay free for those who need them.

    Raises DevicesUnavailable with what is needed, what is free and who holds the rest.
    """
    found = fit(snapshot, request)
    if found is None:
        raise DevicesUnavailable(refusal(snapshot, request))
    return found


def fit(snapshot: DeviceSnapshot, request: AssignmentRequest) -> tuple[DeviceRecord, ...] | None:
    """The devices to assign, of one host and one kind; None when it does not fit."""
    best: tuple[DeviceRecord, ...] | None = None
    fitting: dict[tuple[int, str], list[DeviceRecord]] = {}
    for device in _wanted(snapshot, request):
        if _fits(snapshot, device, request):
            order = KINDS.index(device.kind) if device.kind in KINDS else len(KINDS)
            fitting.setdefault((order, device.host_id), []).append(device)
    for place in sorted(fitting):
        devices = sorted(fitting[place], key=lambda d: (snapshot.free_bytes(d), d.device_id))
        found = tuple(devices[: request.num_devices])
        if len(found) < request.num_devices:
            continue
        if best is None or (
            found[0].kind == best[0].kind and _free(snapshot, found) < _free(snapshot, best)
        ):
            best = found
    return best


def refusal(snapshot: DeviceSnapshot, request: AssignmentRequest, num_more_hosts: int = 0) -> str:
    """What is needed, what is free and who holds the rest, as sentences."""
    kind = f" {request.kind}" if request.kind else ""
    each = f"{request.device_bytes / GIB:.1f} GiB" if request.device_bytes else "the whole device"
    need = f"{request.holder} needs {request.num_devices}{kind} device(s) of one host, {each} each."
    devices = _wanted(snapshot, request)
    if not devices:
        return f"{need} No such device is known."
    freest = sorted(devices, key=lambda d: (-snapshot.free_bytes(d), d.host_id, d.device_id))
    told = "; ".join(_device_sentence(snapshot, device) for device in freest[:_NUM_TOLD])
    num_more = len(freest) - _NUM_TOLD
    rest = f" {num_more} devices more have no more room." if num_more > 0 else ""
    hosts = f" Nor have {num_more_hosts} more hosts the room." if num_more_hosts else ""
    return f"{need} {told}.{rest}{hosts}"


def _wanted(snapshot: DeviceSnapshot, request: AssignmentRequest) -> list[DeviceRecord]:
    return [
        device
        for device in snapshot.devices
        if request.host_id in (None, device.host_id) and request.kind in (None, device.kind)
    ]


def _fits(snapshot: DeviceSnapshot, device: DeviceRecord, request: AssignmentRequest) -> bool:
    if not device.healthy:
        return False
    if request.device_bytes == 0:
        return not snapshot.holders(device)
    return snapshot.free_bytes(device) >= request.device_bytes


def _free(snapshot: DeviceSnapshot, devices: Sequence[DeviceRecord]) -> int:
    return sum(snapshot.free_bytes(device) for device in devices)


def _device_sentence(snapshot: DeviceSnapshot, device: DeviceRecord) -> str:
    held = ", ".join(_holding(assignment) for assignment in snapshot.holders(device))
    state = "" if device.healthy else f", unhealthy: {device.detail}"
    free, total = snapshot.free_bytes(device) / GIB, device.total_bytes / GIB
    return (
        f"{device.name} on {device.host_id}: {free:.1f} of {total:.1f} GiB free"
        f"{state}{', held by ' + held if held else ''}"
    )


def _holding(assignment: AssignmentRecord) -> str:
    size = f"{assignment.device_bytes / GIB:.1f} GiB" if assignment.device_bytes else "all"
    if assignment.quarantined:
        return (
            f"{assignment.first_holder} ({size}, in quarantine until its host has seen the last"
            " of its processes)"
        )
    return f"{assignment.holder} ({size})"
