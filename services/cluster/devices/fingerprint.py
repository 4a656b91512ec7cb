"""What devices this host has: its GPUs as NVML names them, or its processors as one device."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.cluster.devices.labels import HostProcess, host_processes
from services.cluster.devices.nvml import DriverFailed, DriverNvml, Gpu, Nvml
from services.cluster.devices.nvml_double import NvmlDouble
from services.cluster.devices.records import DeviceProcess, DeviceRecord
from services.cluster.settings import ClusterSettings

log = logging.getLogger(__name__)

_LOST = "the driver does not list it any more; look at the host's kernel log for its Xid"


@dataclass(frozen=True)
class Fingerprint:
    """The devices, and the processes of this host that have a label, by pid."""

    devices: tuple[DeviceRecord, ...]
    processes: Mapping[int, HostProcess]


class Fingerprints:
    """Takes one after another; a GPU that was seen once and is missing then is unhealthy."""

    def __init__(self, settings: ClusterSettings, nvml: Nvml) -> None:
        self._settings = settings
        self._nvml = nvml
        self._known: dict[str, DeviceRecord] = {}

    def take(self) -> Fingerprint:
        """Blocks for as long as the driver does."""
        processes = host_processes()
        problem = ""
        try:
            found = {gpu.uuid: self._record(gpu, processes) for gpu in self._nvml.gpus()}
        except DriverFailed as error:
            log.warning("devices cannot be read", extra={"reason": str(error)})
            found, problem = {}, str(error)
        for device_id, device in self._known.items():
            if device_id not in found:
                changes = {"healthy": False, "detail": problem or _LOST, "processes": None}
                found[device_id] = device.model_copy(update=changes)
        self._known = found
        devices = tuple(found.values()) or (_processors(self._settings, processes),)
        return Fingerprint(devices, processes)

    def _record(self, gpu: Gpu, on_host: Mapping[int, HostProcess]) -> DeviceRecord:
        return DeviceRecord(
            device_id=gpu.uuid,
            host_id=self._settings.host_id,
            kind="cuda",
            name=gpu.name,
            total_bytes=gpu.total_bytes,
            used_bytes=gpu.used_bytes,
            temperature=gpu.temperature,
            utilization=gpu.utilization,
            healthy=not gpu.problem,
            detail=gpu.problem,
            processes=_on_gpu(gpu, on_host),
            seen_at=time.time(),
        )


def fingerprints(settings: ClusterSettings) -> Fingerprints:
    return Fingerprints(settings, NvmlDouble(settings) if settings.nvml_double else DriverNvml())


def _on_gpu(gpu: Gpu, on_host: Mapping[int, HostProcess]) -> tuple[DeviceProcess, ...] | None:
    """Those that the driver lists, and those that say so: one has no memory at its start."""
    if gpu.processes is None:
        return None
    used = dict(gpu.processes)
    said = (pid for pid, process in on_host.items() if gpu.uuid in process.device_ids)
    return tuple(
        _device_process(pid, used.get(pid, 0), on_host.get(pid)) for pid in sorted({*used, *said})
    )


def _device_process(pid: int, used_bytes: int, process: HostProcess | None) -> DeviceProcess:
    if process is None:
        return DeviceProcess(pid=pid, used_bytes=used_bytes)
    return DeviceProcess(
        pid=pid,
        used_bytes=used_bytes,
        started=process.started,
        assignment_id=process.assignment_id,
        holder=process.holder,
    )


def _processors(settings: ClusterSettings, on_host: Mapping[int, HostProcess]) -> DeviceRecord:
    device_id = f"cpu-{settings.host_id}"
    memory = _meminfo()
    total_bytes = int(memory["MemTotal"] * settings.cpu_memory_share)
    used_bytes = memory["MemTotal"] - memory["MemAvailable"]
    return DeviceRecord(
        device_id=device_id,
        host_id=settings.host_id,
        kind="cpu",
        name=_processor_name(),
        total_bytes=total_bytes,
        used_bytes=min(used_bytes, total_bytes),
        processes=tuple(
            _device_process(pid, process.resident_bytes, process)
            for pid, process in sorted(on_host.items())
            if device_id in process.device_ids
        ),
        seen_at=time.time(),
    )


def _meminfo() -> dict[str, int]:
    """Bytes by name, from the kernel's table in KiB."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}


def _processor_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "CPU"
