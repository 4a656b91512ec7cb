"""One child of the launcher: started again when it ends, stopped as a process group."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

CONFIGURATION_FAULT = 2  # exit status of a process whose settings cannot work
_PR_SET_PDEATHSIG = 1
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0
_STEADY_SECONDS = 60.0
_NUM_TAIL_LINES = 8


def _end_with_parent() -> None:
    """Runs in the child before exec: the kernel ends it when the launcher dies in whatever way."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        os._exit(127)


class Child:
    """What it prints goes to LOGS/NAME.out. `refusal` becomes the reason when it ends with 2."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], logs: Path
    ) -> None:
        self.name = name
        self.num_ended = 0
        self.refusal: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._command = command
        self._environment = environment
        self._output = logs / f"{name}.out"
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep-{self.name}")

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

    async def _spawn(self) -> None:
        with self._output.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(self._environment),
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    async def _keep(self) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        while self._process is not None:
            started_at = time.monotonic()
            status = await self._process.wait()
            self.num_ended += 1
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            if status == CONFIGURATION_FAULT:
                self.refusal.set_result(self._tail())
                return
            if time.monotonic() - started_at > _STEADY_SECONDS:
                pause_seconds = _FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
            await self._spawn()

    def _tail(self) -> str:
        with self._output.open(errors="replace") as file:
            return "".join(deque(file, maxlen=_NUM_TAIL_LINES)).strip()
