"""GPUs that a host without any claims to have: a test double that is part of the product.

It sees real processes: one whose CUDA_VISIBLE_DEVICES names a GPU is on it, with its resident
memory as used bytes. A GPU is made sick by a line `INDEX REASON` in the file `SICK_FILE` of the
data volume; with the reason `lost` the driver lists it no more, with `mute` it does not tell who
is on it.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from services.cluster.devices.labels import HostProcess, host_processes
from services.cluster.devices.nvml import DriverFailed, Gpu
from services.cluster.devices.records import GIB
from services.cluster.errors import BadRequest
from services.cluster.settings import ClusterSettings

SICK_FILE = Path("tmp") / "sick-gpus"
NAME = "NVML double"
_TEMPERATURE = 40.0


class NvmlDouble:
    """Raises BadRequest without HEARTH_NVML_DOUBLE."""

    def __init__(self, settings: ClusterSettings) -> None:
        if not settings.nvml_double:
            raise BadRequest("The double of NVML needs HEARTH_NVML_DOUBLE=1.")
        self._settings = settings

    def gpus(self) -> list[Gpu]:
        sick = self._sick()
        if "driver" in sick:
            raise DriverFailed(f"The driver does not answer: {sick['driver']}.")
        on_host = host_processes().values()
        sizes = self._settings.nvml_double_sizes
        return [
            self._gpu(index, size, sick.get(str(index), ""), list(on_host))
            for index, size in enumerate(sizes)
            if sick.get(str(index)) != "lost"
        ]

    def gpu_id(self, index: int) -> str:
        """Of this host and data volume only, so that no two doubles see each other's processes."""
        place = f"{self._settings.data_dir}/{self._settings.host_id}/{index}"
        return f"GPU-{uuid.uuid5(uuid.NAMESPACE_URL, place)}"

    def _gpu(self, index: int, size: float, reason: str, on_host: list[HostProcess]) -> Gpu:
        gpu_id = self.gpu_id(index)
        processes = {p.pid: p.resident_bytes for p in on_host if gpu_id in p.visible_ids}
        mute = reason == "mute"
        total_bytes = int(size * GIB)
        return Gpu(
            uuid=gpu_id,
            name=NAME,
            total_bytes=total_bytes,
            used_bytes=min(sum(processes.values()), total_bytes),
            temperature=_TEMPERATURE,
            utilization=0.0,
            problem="" if mute else reason,
            processes=None if mute else tuple(processes.items()),
        )

    def _sick(self) -> dict[str, str]:
        """Why a GPU is sick, by its index; of `driver`, why none answers."""
        file = self._settings.data_dir / SICK_FILE
        if not file.exists():
            return {}
        lines = (line.partition(" ") for line in file.read_text().splitlines() if line.strip())
        return {index: reason.strip() for index, _, reason in lines}
