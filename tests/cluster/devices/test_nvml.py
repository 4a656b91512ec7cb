"""The real reader of the driver, on a library that answers as NVIDIA's does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml as nvidia
import pytest

from services.cluster.devices.nvml import DriverFailed, DriverNvml

pynvml: Any = nvidia  # its errors are made when it is imported


class Library:
    """What of pynvml is called, with two GPUs; `says` answers a call otherwise, or raises."""

    NVMLError = pynvml.NVMLError
    NVMLError_LibraryNotFound = pynvml.NVMLError_LibraryNotFound
    NVMLError_DriverNotLoaded = pynvml.NVMLError_DriverNotLoaded
    NVMLError_GpuIsLost = pynvml.NVMLError_GpuIsLost
    NVMLError_Timeout = pynvml.NVMLError_Timeout
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED = pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
    NVML_VOLATILE_ECC = pynvml.NVML_VOLATILE_ECC
    nvmlEventTypeXidCriticalError = pynvml.nvmlEventTypeXidCriticalError

    def __init__(self) -> None:
        self.says: dict[str, Any] = {}
        self.xids: list[tuple[int, int]] = []
        self.num_inits = 0

    def __getattr__(self, name: str) -> Any:
        if not hasattr(pynvml, name):
            raise AttributeError(name)
        return lambda *args: self._answer(name, args)

    def _answer(self, name: str, args: tuple[Any, ...]) -> Any:
        answer = self.says.get(name, _USUAL.get(name))
        if isinstance(answer, Exception):
            raise answer
        if name == "nvmlInit":
            self.num_inits += 1
        if name == "nvmlEventSetWait_v2":
            if not self.xids:
                raise pynvml.NVMLError_Timeout
            device, xid = self.xids.pop(0)
            return SimpleNamespace(device=device, eventData=xid)
        return answer(*args) if callable(answer) else answer


_NOT_SUPPORTED = pynvml.NVMLError_NotSupported
_USUAL: dict[str, Any] = {
    "nvmlDeviceGetCount": 2,
    "nvmlEventSetCreate": "events",
    "nvmlDeviceGetHandleByIndex": lambda index: index,
    "nvmlDeviceGetUUID": lambda handle: f"GPU-{handle}",
    "nvmlDeviceGetName": "H100",
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=80, used=3),
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=50),
    "nvmlDeviceGetTemperature": 41,
    "nvmlDeviceGetRemappedRows": (0, 0, 0, 0),
    "nvmlDeviceGetTotalEccErrors": 0,
    "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=5, usedGpuMemory=None)],
    "nvmlDeviceGetGraphicsRunningProcesses": [SimpleNamespace(pid=6, usedGpuMemory=7)],
    "nvmlDeviceGetMPSComputeRunningProcesses": _NOT_SUPPORTED(),
}


def test_a_gpu_as_the_driver_tells_of_it() -> None:
    library = Library()
    nvml = DriverNvml(library)
    first, second = nvml.gpus()
    assert (first.uuid, second.uuid, first.name) == ("GPU-0", "GPU-1", "H100")
    assert (first.total_bytes, first.used_bytes, first.temperature) == (80, 3, 41.0)
    assert (first.utilization, first.problem) == (0.5, "")
    assert first.processes == ((5, 0), (6, 7))
    nvml.gpus()
    assert library.num_inits == 1


@pytest.mark.parametrize("error", ["LibraryNotFound", "DriverNotLoaded"])
def test_a_host_without_a_driver_has_no_gpu(error: str) -> None:
    library = Library()
    library.says["nvmlInit"] = getattr(pynvml, f"NVMLError_{error}")()
    assert DriverNvml(library).gpus() == []


def test_a_driver_that_fails_is_asked_anew() -> None:
    library = Library()
    nvml = DriverNvml(library)
    library.says["nvmlDeviceGetCount"] = pynvml.NVMLError_Unknown()
    with pytest.raises(DriverFailed, match="does not answer: Unknown"):
        nvml.gpus()
    del library.says["nvmlDeviceGetCount"]
    assert len(nvml.gpus()) == 2
    assert library.num_inits == 2


def test_a_lost_gpu_is_left_out_and_the_others_are_told() -> None:
    library = Library()

    def handle(index: int) -> int:
        if index == 0:
            raise pynvml.NVMLError_GpuIsLost
        return index

    library.says["nvmlDeviceGetHandleByIndex"] = handle
    assert [gpu.uuid for gpu in DriverNvml(library).gpus()] == ["GPU-1"]


@pytest.mark.parametrize(
    ("call", "answer", "word"),
    [
        ("nvmlDeviceGetRemappedRows", (0, 1, 0, 1), "must be exchanged"),
        ("nvmlDeviceGetRemappedRows", (0, 1, 1, 0), "is to be replaced"),
        ("nvmlDeviceGetTotalEccErrors", 3, "3 memory errors could not be corrected"),
    ],
)
def test_broken_memory_is_a_problem(call: str, answer: object, word: str) -> None:
    library = Library()
    library.says[call] = answer
    assert word in DriverNvml(library).gpus()[0].problem


def test_an_xid_stays_a_problem_unless_an_application_causes_it() -> None:
    library = Library()
    nvml = DriverNvml(library)
    library.xids = [(0, 31), (1, 79)]
    assert [bool(gpu.problem) for gpu in nvml.gpus()] == [False, True]
    assert "Xid 79" in nvml.gpus()[1].problem


def test_what_the_driver_does_not_tell_is_unknown() -> None:
    library = Library()
    for name in _USUAL:
        if name.startswith("nvmlDeviceGet") and "Running" in name:
            library.says[name] = _NOT_SUPPORTED()
    library.says["nvmlDeviceGetTemperature"] = _NOT_SUPPORTED()
    library.says["nvmlDeviceGetTotalEccErrors"] = _NOT_SUPPORTED()
    library.says["nvmlEventSetCreate"] = _NOT_SUPPORTED()
    gpu = DriverNvml(library).gpus()[0]
    assert (gpu.processes, gpu.temperature, gpu.problem) == (None, None, "")
