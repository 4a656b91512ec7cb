"""What the driver tells of the GPUs of this host: one seam, with the real one here.

Its double is nvml_double.py. Xids that an application causes by itself say nothing of the GPU;
which those are is the list of NVIDIA's Kubernetes device plugin.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import pynvml

_APPLICATION_XIDS = frozenset({13, 31, 43, 45, 68, 109})
_MAX_EVENTS = 100  # of one look

T = TypeVar("T")


class DriverFailed(Exception):
    """There is a driver, but it does not answer; the message says what it said."""


@dataclass(frozen=True)
class Gpu:
    """`problem` says why it must not be used, "" when it may.

    `temperature` in degrees Celsius, `utilization` from 0 to 1, `processes` as pairs of pid and
    bytes; None where the driver does not tell.
    """

    uuid: str
    name: str
    total_bytes: int
    used_bytes: int = 0
    temperature: float | None = None
    utilization: float | None = None
    problem: str = ""
    processes: tuple[tuple[int, int], ...] | None = ()


class Nvml(Protocol):
    def gpus(self) -> list[Gpu]:
        """Blocks. Empty on a host without GPU. Raises DriverFailed."""
        ...


class DriverNvml:
    """NVIDIA's library, held open: it tells only of Xids that came since. Not for two threads."""

    def __init__(self, library: Any = pynvml) -> None:
        self._library = library
        self._events: Any = None
        self._is_open = False
        self._xids: dict[str, int] = {}

    def gpus(self) -> list[Gpu]:
        library = self._library
        try:
            self._open()
            self._take_events()
            count = library.nvmlDeviceGetCount()
            found = [self._gpu(index) for index in range(count)]
        except (library.NVMLError_LibraryNotFound, library.NVMLError_DriverNotLoaded):
            self._close()
            return []
        except library.NVMLError as error:
            self._close()
            raise DriverFailed(f"The driver does not answer: {error}.") from error
        return [gpu for gpu in found if gpu]

    def _open(self) -> None:
        if self._is_open:
            return
        library = self._library
        library.nvmlInit()
        self._is_open = True
        with contextlib.suppress(library.NVMLError):  # not supported: then only the rest is known
            self._events = library.nvmlEventSetCreate()
            for index in range(library.nvmlDeviceGetCount()):
                handle = library.nvmlDeviceGetHandleByIndex(index)
                library.nvmlDeviceRegisterEvents(
                    handle, library.nvmlEventTypeXidCriticalError, self._events
                )

    def _close(self) -> None:
        """The next look begins anew."""
        self._events = None
        if self._is_open:
            self._is_open = False
            with contextlib.suppress(self._library.NVMLError):
                self._library.nvmlShutdown()

    def _take_events(self) -> None:
        library = self._library
        if self._events is None:
            return
        for _ in range(_MAX_EVENTS):
            try:
                event = library.nvmlEventSetWait_v2(self._events, 0)
            except library.NVMLError_Timeout:
                return
            except library.NVMLError:  # such as a lost GPU, which its own figures will tell
                return
            if event.eventData not in _APPLICATION_XIDS:
                uuid = str(library.nvmlDeviceGetUUID(event.device))
                self._xids[uuid] = int(event.eventData)

    def _gpu(self, index: int) -> Gpu | None:
        """None for one that is lost: it does not even tell its name."""
        library = self._library
        try:
            handle = library.nvmlDeviceGetHandleByIndex(index)
            uuid = str(library.nvmlDeviceGetUUID(handle))
            name = str(library.nvmlDeviceGetName(handle))
            memory = library.nvmlDeviceGetMemoryInfo(handle)
        except library.NVMLError_GpuIsLost:
            return None
        rates = self._told(lambda: library.nvmlDeviceGetUtilizationRates(handle))
        celsius = library.NVML_TEMPERATURE_GPU
        return Gpu(
            uuid=uuid,
            name=name,
            total_bytes=int(memory.total),
            used_bytes=int(memory.used),
            temperature=self._told(
                lambda: float(library.nvmlDeviceGetTemperature(handle, celsius))
            ),
            utilization=rates.gpu / 100 if rates else None,
            problem=self._problem(handle, uuid),
            processes=self._processes(handle),
        )

    def _problem(self, handle: Any, uuid: str) -> str:
        library = self._library
        if xid := self._xids.get(uuid):
            return f"the driver reported Xid {xid}; reset the GPU and restart the agent"
        rows = self._told(lambda: library.nvmlDeviceGetRemappedRows(handle))
        if rows and rows[3]:
            return "a broken row of its memory could not be replaced; the GPU must be exchanged"
        if rows and rows[2]:
            return "a row of its memory is to be replaced; reset the GPU"
        kind, counter = library.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, library.NVML_VOLATILE_ECC
        count = self._told(lambda: library.nvmlDeviceGetTotalEccErrors(handle, kind, counter))
        if count:
            return f"{count} memory errors could not be corrected; reset the GPU"
        return ""

    def _processes(self, handle: Any) -> tuple[tuple[int, int], ...] | None:
        library = self._library
        compute = self._told(lambda: library.nvmlDeviceGetComputeRunningProcesses(handle))
        if compute is None:
            return None
        shown = [
            *compute,
            *(self._told(lambda: library.nvmlDeviceGetGraphicsRunningProcesses(handle)) or ()),
            *(self._told(lambda: library.nvmlDeviceGetMPSComputeRunningProcesses(handle)) or ()),
        ]
        return tuple({int(p.pid): int(p.usedGpuMemory or 0) for p in shown}.items())

    def _told(self, ask: Callable[[], T]) -> T | None:
        """None where this GPU or driver does not tell. A lost GPU is not such a case."""
        library = self._library
        try:
            return ask()
        except library.NVMLError_GpuIsLost:
            raise
        except library.NVMLError:
            return None
