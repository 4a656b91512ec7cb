from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from services.child import Child

WAITS = "import signal; signal.pause()"
IGNORES = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True);"
    "[signal.pause() for _ in iter(int, 1)]"
)


def a_child(tmp_path: Path, program: str) -> Child:
    return Child("child", [sys.executable, "-c", program], os.environ, tmp_path)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


def descendants(program: str) -> list[psutil.Process]:
    """Those that run `program`; other tests may have left zombies, which have no command line."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.cmdline()[-1:] == [program]:
                found.append(process)
    return found


def pids_of(program: str) -> list[int]:
    return [process.pid for process in descendants(program)]


async def test_what_ends_is_started_again(tmp_path: Path) -> None:
    child = a_child(tmp_path, WAITS)
    await child.start()
    (first,) = pids_of(WAITS)
    psutil.Process(first).kill()
    await until(lambda: child.num_ended == 1 and bool(pids_of(WAITS)))
    assert pids_of(WAITS) != [first]
    await child.stop(5)
    assert pids_of(WAITS) == []


async def test_what_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    child = a_child(tmp_path, IGNORES)
    await child.start()
    await until(lambda: "on" in (tmp_path / "child.out").read_text())
    await child.stop(0.1)
    assert pids_of(IGNORES) == []


async def test_a_configuration_fault_is_told_and_not_tried_again(tmp_path: Path) -> None:
    child = a_child(tmp_path, "print('HEARTH_PORT: taken'); raise SystemExit(2)")
    await child.start()
    assert await asyncio.wait_for(child.refusal, 10) == "HEARTH_PORT: taken"
    await child.stop(1)
    assert child.num_ended == 1


async def test_grandchildren_go_with_the_group(tmp_path: Path) -> None:
    parent = f"import subprocess,sys; subprocess.run([sys.executable, '-c', {WAITS!r}])"
    child = a_child(tmp_path, parent)
    await child.start()
    await until(lambda: bool(descendants(WAITS)))
    (grandchild,) = descendants(WAITS)
    await child.stop(5)
    _, alive = psutil.wait_procs([grandchild], timeout=5)
    assert alive == []
