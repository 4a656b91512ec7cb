"""How a process says on whose behalf it is on devices: by its environment, which children inherit.

A library would be psutil, which no image has; three files of /proc tell all that is needed here.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from services.cluster.devices.records import AssignmentRecord

HOLDER = "HEARTH_DEVICE_HOLDER"
ASSIGNMENT = "HEARTH_DEVICE_ASSIGNMENT"
DEVICE_IDS = "HEARTH_DEVICE_IDS"
VISIBLE = "CUDA_VISIBLE_DEVICES"
_PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def label(assignment: AssignmentRecord) -> dict[str, str]:
    """Environment variables for every process that is started on an assignment's devices."""
    return {
        HOLDER: assignment.holder,
        ASSIGNMENT: assignment.assignment_id,
        DEVICE_IDS: ",".join(assignment.device_ids),
    }


@dataclass(frozen=True)
class HostProcess:
    """A process of this host that may be on a device. `started` in ticks since the boot."""

    pid: int
    started: int
    group: int
    session: int
    resident_bytes: int
    holder: str = ""
    assignment_id: str = ""
    device_ids: frozenset[str] = frozenset()
    visible_ids: frozenset[str] = frozenset()


def host_processes() -> dict[int, HostProcess]:
    """Those that have a label or name GPUs, by pid; another user's cannot be seen.

    A process that has overwritten its environment (vLLM's write a title there) is known by the
    label of the first process of its session.
    """
    found = {process.pid: process for process in _all_processes()}
    for pid, process in found.items():
        first = found.get(process.session)
        if first and first.assignment_id and not process.assignment_id:
            found[pid] = replace(
                process,
                holder=first.holder,
                assignment_id=first.assignment_id,
                device_ids=first.device_ids,
            )
    return {pid: p for pid, p in found.items() if p.holder or p.assignment_id or p.visible_ids}


def kill(processes: Iterable[HostProcess]) -> None:
    """SIGKILL to each, and to the process groups that they lead. Those that have ended are not."""
    for process in processes:
        now = _read(process.pid)
        if now is None or now.started != process.started:
            continue
        with contextlib.suppress(ProcessLookupError):
            if process.group == process.pid:
                os.killpg(process.group, signal.SIGKILL)
            else:
                os.kill(process.pid, signal.SIGKILL)


def _all_processes() -> Iterator[HostProcess]:
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and (process := _read(int(folder.name))):
            yield process


def _read(pid: int) -> HostProcess | None:
    """None for one that has ended, or that this user may not look at."""
    folder = _PROC / str(pid)
    try:
        environment = _environment((folder / "environ").read_bytes())
        stat = (folder / "stat").read_text()
    except OSError:
        return None
    # After the name, which may hold anything: state, parent, group, session, ... (proc(5)).
    fields = stat[stat.rindex(")") + 2 :].split()
    if fields[0] in "ZX":
        return None
    return HostProcess(
        pid=pid,
        started=int(fields[19]),
        group=int(fields[2]),
        session=int(fields[3]),
        resident_bytes=int(fields[21]) * _PAGE_BYTES,
        holder=environment.get(HOLDER, ""),
        assignment_id=environment.get(ASSIGNMENT, ""),
        device_ids=_ids(environment.get(DEVICE_IDS, "")),
        visible_ids=_ids(environment.get(VISIBLE, "")),
    )


def _environment(text: bytes) -> Mapping[str, str]:
    pairs = (entry.partition(b"=") for entry in text.split(b"\0"))
    wanted = {name.encode() for name in (HOLDER, ASSIGNMENT, DEVICE_IDS, VISIBLE)}
    return {
        name.decode(): value.decode(errors="replace") for name, _, value in pairs if name in wanted
    }


def _ids(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.split(",")))
