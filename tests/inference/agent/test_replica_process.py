"""Real process groups, with a child that outlives its parent unless somebody ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import psutil

from services.inference.agent.replica_process import (
    ReplicaProcess,
    describe_status,
    last_words,
)

# Ignores SIGTERM when told so, has a child that ignores it always, and then says "up".
PARENT = """
import signal, subprocess, sys
sleeper = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", sleeper])
if sys.argv[1] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("child", child.pid, flush=True)
child.wait()
"""


async def start(output: Path, *arguments: str) -> tuple[ReplicaProcess, list[psutil.Process]]:
    """The process, and its group as psutil knows it."""
    process = await ReplicaProcess.start(
        [sys.executable, "-c", PARENT, *arguments], os.environ, output
    )
    deadline = time.monotonic() + 30
    while "child" not in output.read_text():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    child = int(output.read_text().split()[-1])
    return process, [psutil.Process(process.pid), psutil.Process(child)]


def is_over(process: psutil.Process) -> bool:
    """Ended, reaped or not."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_a_killed_process_takes_its_group_along(tmp_path: Path) -> None:
    process, group = await start(tmp_path / "out", "plain")
    os.kill(process.pid, signal.SIGKILL)
    assert await asyncio.wait_for(process.wait(), 10) == -signal.SIGKILL
    assert all(is_over(member) for member in group)


async def test_stop_asks_first(tmp_path: Path) -> None:
    process, group = await start(tmp_path / "out", "plain")
    await asyncio.wait_for(process.stop(grace_seconds=30), 10)
    assert await process.wait() == -signal.SIGTERM
    assert all(is_over(member) for member in group)


async def test_stop_kills_after_the_grace(tmp_path: Path) -> None:
    process, group = await start(tmp_path / "out", "stubborn")
    await asyncio.wait_for(process.stop(grace_seconds=0.2), 10)
    assert await process.wait() == -signal.SIGKILL
    assert all(is_over(member) for member in group)


async def test_only_the_words_of_this_life_count(tmp_path: Path) -> None:
    output = tmp_path / "logs" / "out"
    for said in ("first", "second"):
        code = f"print({said!r})" if said == "first" else "raise SystemExit(7)"
        process = await ReplicaProcess.start([sys.executable, "-c", code], os.environ, output)
        status = await process.wait()
        assert process.last_words() == (said if said == "first" else "")
    assert status == 7
    output.unlink()
    assert process.last_words() == ""


def test_the_newest_reason_is_told() -> None:
    lines = [
        '{"level": "error", "message": "engine cannot start", "reason": "No memory."}',
        '{"level": "info", "message": "bye"}',
        "a warning of somebody else",
    ]
    assert last_words("\n".join(lines)) == "No memory."
    crash = '{"level": "error", "message": "m", "exception": "Traceback\\n  at\\nValueError: x"}'
    assert last_words(crash) == "ValueError: x"
    assert last_words("Traceback\nImportError: no module\n\n") == "ImportError: no module"
    assert last_words('{"level": "info", "message": "fine"}') == ""


def test_a_status_is_told_in_words() -> None:
    assert describe_status(3) == "it ended with status 3"
    assert "SIGKILL" in describe_status(-9)
    assert "SIGSEGV" in describe_status(-11)


def test_the_root_cause_that_another_process_of_the_engine_told_is_found() -> None:
    text = """(EngineCore pid=7) ERROR EngineCore failed to start.
(EngineCore pid=7) ERROR Traceback (most recent call last):
(EngineCore pid=7) ERROR torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.
{"level": "error", "reason": "vLLM cannot run m: initialization failed. See root cause above. {}"}
"""
    said = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
    assert last_words(text) == said
    assert "initialization failed" in last_words(text.splitlines()[-1])
