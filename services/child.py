"""One child of the launcher: started again when it ends, stopped as a process group."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

CONFIGURATION_FAULT = 2  # exit status of a process whose settings cannot work
_PR_SET_PDEATHSIG = 1
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0
_STEADY_SECONDS = 60.0
_LOOP_ENDS = 3
_LOOP_SECONDS = 30.0
_NUM_TAIL_LINES = 8
_TAIL_BYTES = 64 * 1024
_MAX_OUTPUT_BYTES = 32 * 1024 * 1024
_MAX_WORDS = 400


def _end_with_parent() -> None:
    """Runs in the child before exec: the kernel ends it when the launcher dies in whatever way."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        os._exit(127)


class CrashLoop:
    """Decides when a person is to hear that a process does not stay up, and not again and again."""

    def __init__(self) -> None:
        self._ends: deque[float] = deque(maxlen=_LOOP_ENDS)
        self._is_on = False
        self._told = ""

    def ended(self, now: float, ran_seconds: float, words: str) -> bool:
        """Whether these last words are to be told."""
        if ran_seconds > _STEADY_SECONDS:
            self._ends.clear()
            self._is_on, self._told = False, ""
        self._ends.append(now)
        if len(self._ends) == _LOOP_ENDS and now - self._ends[0] <= _LOOP_SECONDS:
            self._is_on = True
        if not self._is_on or words == self._told:
            return False
        self._told = words
        return True


class Child:
    """What it prints goes to LOGS/NAME.out, which is put aside at a start when it is long.

    `refusal` becomes the reason when it ends with 2. `tell` gets one line when it does not stay up.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        logs: Path,
        tell: Callable[[str], None],
    ) -> None:
        self.name = name
        self.num_ended = 0
        self.last_words = ""  # why it ended the last time
        self.refusal: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._command = command
        self._environment = environment
        self._output = logs / f"{name}.out"
        self._tell = tell
        self._printed = 0  # bytes of the output that earlier starts wrote
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """0 while it does not run."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process and running else 0

    async def start(self) -> None:
        obstacle = await self._spawn()
        self._keeper = asyncio.create_task(self._keep(obstacle), name=f"keep-{self.name}")

    async def stop(self, grace_seconds: float) -> None:
        """SIGTERM, then after the grace SIGKILL to the whole group."""
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), grace_seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    async def _spawn(self) -> str:
        """Why it cannot be started; "" when it was."""
        self._process = None
        try:
            with _open_output(self._output) as output:
                self._printed = output.tell()
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=dict(self._environment),
                    start_new_session=True,
                    preexec_fn=_end_with_parent,
                )
        except OSError as error:
            return f"it cannot be started: {error}"
        return ""

    async def _keep(self, obstacle: str) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        loop = CrashLoop()
        while True:
            started_at = time.monotonic()
            status = await self._wait() if self._process else None
            now = time.monotonic()
            printed = "" if status is None else self._read_output()
            self.last_words = obstacle or last_words(printed) or f"it ended with status {status}"
            self.num_ended += 1
            if status == CONFIGURATION_FAULT:
                tail = "\n".join(printed.splitlines()[-_NUM_TAIL_LINES:]).strip()
                self.refusal.set_result(tail or self.last_words)
                return
            if loop.ended(now, now - started_at, self.last_words):
                self._tell(f"{self.name} does not stay up: {self.last_words} ({self._output})")
            if now - started_at > _STEADY_SECONDS:
                pause_seconds = _FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
            obstacle = await self._spawn()

    async def _wait(self) -> int:
        """The exit status, as soon as its group was killed too."""
        assert self._process is not None
        status = await self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return status

    def _read_output(self) -> str:
        """The end of what it printed since its last start; "" when that cannot be read."""
        try:
            with self._output.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(min(self._printed, size), size - _TAIL_BYTES))
                return file.read().decode(errors="replace")
        except OSError:
            return ""


def _open_output(output: Path) -> BinaryIO:
    if output.exists() and output.stat().st_size > _MAX_OUTPUT_BYTES:
        output.replace(output.with_suffix(".out.old"))
    return output.open("ab")


def last_words(text: str) -> str:
    """The newest reason in lines of our log, else the last plain line; "" for neither.

    The agent says of its replicas the same in the same way; services import nothing of each other.
    """
    plain = ""
    for line in reversed(text.splitlines()):
        entry = _log_line(line)
        if entry is None:
            plain = plain or line.strip()
        elif entry.get("level") in ("error", "critical"):
            exception = str(entry.get("exception") or "").strip().splitlines()
            said = entry.get("reason") or (exception[-1] if exception else entry.get("message"))
            return str(said or "")[:_MAX_WORDS]
    return plain[:_MAX_WORDS]


def _log_line(line: str) -> dict[str, object] | None:
    if not line.startswith("{"):
        return None
    try:
        entry: dict[str, object] = json.loads(line)
    except ValueError:
        return None
    return entry
