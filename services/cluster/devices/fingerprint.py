"""What devices this host has: its GPUs as NVML names them, or its processors as one device."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pynvml

from services.cluster.devices.records import GIB, DeviceRecord
from services.cluster.settings import ClusterSettings


def fingerprint(settings: ClusterSettings) -> list[DeviceRecord]:
    """GPUs by UUID; on a host without, one device of kind cpu with a share of the memory."""
    if settings.nvml_double:
        return NvmlDouble(settings.nvml_double).devices(settings.host_id)
    return _gpus(settings.host_id) or [_processors(settings)]


@dataclass(frozen=True)
class NvmlDouble:
    """GPUs that a host without any claims to have. `sizes`: GiB of each, such as "24,24"."""

    sizes: str

    def devices(self, host_id: str) -> list[DeviceRecord]:
        return [
            DeviceRecord(
                device_id=f"GPU-double-{host_id}-{index}",
                host_id=host_id,
                kind="cuda",
                name="NVML double",
                total_bytes=int(float(size) * GIB),
                seen_at=time.time(),
            )
            for index, size in enumerate(self.sizes.split(","))
        ]


def _gpus(host_id: str) -> list[DeviceRecord]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        count = pynvml.nvmlDeviceGetCount()
        return [_gpu(pynvml.nvmlDeviceGetHandleByIndex(i), host_id) for i in range(count)]
    finally:
        pynvml.nvmlShutdown()


def _gpu(handle: object, host_id: str) -> DeviceRecord:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return DeviceRecord(
        device_id=str(pynvml.nvmlDeviceGetUUID(handle)),
        host_id=host_id,
        kind="cuda",
        name=str(pynvml.nvmlDeviceGetName(handle)),
        total_bytes=int(memory.total),
        used_bytes=int(memory.used),
        temperature=float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
        seen_at=time.time(),
    )


def _processors(settings: ClusterSettings) -> DeviceRecord:
    memory = _meminfo()
    total_bytes = int(memory["MemTotal"] * settings.cpu_memory_share)
    used_bytes = memory["MemTotal"] - memory["MemAvailable"]
    return DeviceRecord(
        device_id=f"cpu-{settings.host_id}",
        host_id=settings.host_id,
        kind="cpu",
        name=_processor_name(),
        total_bytes=total_bytes,
        used_bytes=min(used_bytes, total_bytes),
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
