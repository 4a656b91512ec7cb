from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest

from services.cluster.devices.labels import HostProcess, host_processes, kill, label
from tests.cluster.devices.specs import an_assignment

SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
# A parent with a label whose child has overwritten its own environment, as a title does.
PARENT = [sys.executable, "-c", f"import os, subprocess; subprocess.run({SLEEP!r}, env={{}})"]


@contextmanager
def running(
    command: list[str], environment: Mapping[str, str], *, session: bool = True
) -> Iterator[subprocess.Popen[bytes]]:
    """Returns when it has printed a line, so that it is surely the new program."""
    process = subprocess.Popen(
        command,
        env=dict(environment),
        stdout=subprocess.PIPE,
        start_new_session=session,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        if session:
            with ExitStack() as stack:
                stack.callback(process.wait, 10)
                kill(p for p in host_processes().values() if p.session == process.pid)
                process.kill()
        else:
            process.kill()
            process.wait(10)
        if process.stdout:
            process.stdout.close()


def labelled(holder: str) -> dict[str, HostProcess]:
    found = host_processes().values()
    return {str(p.pid): p for p in found if p.assignment_id == f"a-{holder}"}


def test_a_process_is_known_by_its_label() -> None:
    assignment = an_assignment("replica/labels-1", ("GPU-x", "GPU-y"))
    with running(SLEEP, label(assignment) | {"CUDA_VISIBLE_DEVICES": "GPU-x"}) as process:
        found = host_processes()[process.pid]
        assert (found.holder, found.assignment_id) == ("replica/labels-1", "a-replica/labels-1")
        assert found.device_ids == {"GPU-x", "GPU-y"}
        assert found.visible_ids == {"GPU-x"}
        assert (found.group, found.session) == (process.pid, process.pid)
        assert found.resident_bytes > 1_000_000
    assert process.pid not in host_processes()
    assert os.getpid() not in host_processes()


def test_a_child_that_lost_its_environment_is_known_by_its_session() -> None:
    with running(PARENT, label(an_assignment("replica/labels-2", ("g",)))) as process:
        found = labelled("replica/labels-2")
        assert len(found) == 2
        kill([found[str(process.pid)]])  # it leads the group: the child goes with it
        deadline = time.monotonic() + 10
        while labelled("replica/labels-2") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not labelled("replica/labels-2")


def test_who_leads_no_group_is_killed_alone() -> None:
    """Its group is this test's."""
    assignment = an_assignment("replica/labels-3", ("g",))
    with running(SLEEP, label(assignment), session=False) as process:
        kill(labelled("replica/labels-3").values())
        assert process.wait(10) == -9


def test_another_process_with_the_pid_of_one_that_ended_is_spared() -> None:
    assignment = an_assignment("replica/labels-4", ("g",))
    with running(SLEEP, label(assignment)) as process:
        found = host_processes()[process.pid]
        earlier = HostProcess(
            pid=found.pid,
            started=found.started - 1,
            group=found.group,
            session=found.session,
            resident_bytes=0,
        )
        kill([earlier])
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
