from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from services.child import Child, CrashLoop, last_words

WAITS = "import signal; signal.pause()"
IGNORES = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True);"
    "[signal.pause() for _ in iter(int, 1)]"
)


def a_child(tmp_path: Path, program: str, lines: list[str]) -> Child:
    return Child("child", [sys.executable, "-c", program], os.environ, tmp_path, lines.append)


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
    child = a_child(tmp_path, WAITS, [])
    await child.start()
    (first,) = pids_of(WAITS)
    psutil.Process(first).kill()
    await until(lambda: child.num_ended == 1 and bool(pids_of(WAITS)))
    assert pids_of(WAITS) != [first]
    await child.stop(5)
    assert pids_of(WAITS) == []


async def test_what_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    child = a_child(tmp_path, IGNORES, [])
    await child.start()
    await until(lambda: "on" in (tmp_path / "child.out").read_text())
    await child.stop(0.1)
    assert pids_of(IGNORES) == []


async def test_a_configuration_fault_is_told_and_not_tried_again(tmp_path: Path) -> None:
    child = a_child(tmp_path, "print('HEARTH_PORT: taken'); raise SystemExit(2)", [])
    await child.start()
    assert await asyncio.wait_for(child.refusal, 10) == "HEARTH_PORT: taken"
    await child.stop(1)
    assert child.num_ended == 1


async def test_grandchildren_go_with_the_group(tmp_path: Path) -> None:
    parent = f"import subprocess,sys; subprocess.run([sys.executable, '-c', {WAITS!r}])"
    child = a_child(tmp_path, parent, [])
    await child.start()
    await until(lambda: bool(descendants(WAITS)))
    (grandchild,) = descendants(WAITS)
    await child.stop(5)
    _, alive = psutil.wait_procs([grandchild], timeout=5)
    assert alive == []


async def test_a_refusal_is_what_this_start_printed(tmp_path: Path) -> None:
    (tmp_path / "child.out").write_text("HEARTH_OLD: nonsense\n" * 3)
    child = a_child(tmp_path, "print('HEARTH_PORT: taken'); raise SystemExit(2)", [])
    await child.start()
    assert await asyncio.wait_for(child.refusal, 10) == "HEARTH_PORT: taken"
    await child.stop(1)


async def test_long_output_is_put_aside_at_a_start(tmp_path: Path) -> None:
    with (tmp_path / "child.out").open("wb") as output:
        output.truncate(32 * 1024 * 1024 + 1)
    child = a_child(tmp_path, "print('new'); raise SystemExit(2)", [])
    await child.start()
    await asyncio.wait_for(child.refusal, 10)
    await child.stop(1)
    assert (tmp_path / "child.out").read_text() == "new\n"
    assert (tmp_path / "child.out.old").stat().st_size > 32 * 1024 * 1024


async def test_what_does_not_stay_up_is_told_once(tmp_path: Path) -> None:
    lines: list[str] = []
    child = a_child(tmp_path, "raise SystemExit('the port is taken')", lines)
    await child.start()
    await until(lambda: child.num_ended == 4)
    await child.stop(1)
    assert lines == [f"child does not stay up: the port is taken ({tmp_path / 'child.out'})"]


async def test_what_cannot_be_started_is_an_end_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "child.out").mkdir()
    child = a_child(tmp_path, WAITS, [])
    await child.start()
    assert child.pid == 0
    await until(lambda: child.num_ended == 1)
    assert child.last_words.startswith("it cannot be started: [Errno 21] Is a directory")
    (tmp_path / "child.out").rmdir()
    await until(lambda: child.pid != 0)
    assert pids_of(WAITS) == [child.pid]
    await child.stop(5)
    assert child.pid == 0


def test_a_crash_loop_is_told_again_only_with_other_words() -> None:
    loop = CrashLoop()
    assert [loop.ended(float(now), 1, "a") for now in (0, 2, 4, 8)] == [False, False, True, False]
    assert loop.ended(25, 1, "b")
    assert not loop.ended(42, 1, "b")
    assert not loop.ended(200, 120, "b"), "it was steady before"
    assert [loop.ended(float(now), 1, "b") for now in (202, 204)] == [False, True]


def test_ends_far_apart_are_no_crash_loop() -> None:
    loop = CrashLoop()
    assert not any(loop.ended(20.0 * number, 10, "a") for number in range(5))


def test_last_words_are_the_newest_reason_else_the_last_plain_line() -> None:
    reason = '{"level": "error", "message": "webui ends", "reason": "No Redis."}'
    raised = '{"level": "error", "message": "x", "exception": "Traceback\\nValueError: y"}'
    assert last_words(f'{reason}\n{{"level": "info", "message": "bye"}}\nnoise') == "No Redis."
    assert last_words(raised) == "ValueError: y"
    assert last_words('{"level": "error", "message": "[Errno 98] in use"}') == "[Errno 98] in use"
    assert last_words("Traceback\nRuntimeError: no address\n\n") == "RuntimeError: no address"
    assert last_words('{"level": "info", "message": "fine"}') == ""
