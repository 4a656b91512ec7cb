"""One replica's process and all that it started: a process group that ends as one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from services.cluster.tasks import end

RETIRE = signal.SIGUSR1  # to a replica that another one has replaced: finish without hurry

_GROUP_GONE_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.01
_TAIL_BYTES = 64 * 1024
_MAX_OUTPUT_BYTES = 32 * 1024 * 1024
_MAX_REASON = 600
_POINTS_ABOVE = "root cause above"
# As the last line of a traceback, also behind the name of vLLM's process.
_ERROR_LINE = re.compile(r"(?:^|\s)(?P<error>(?:\w+\.)*\w*(?:Error|Exception): .+)$")


class ReplicaProcess:
    """What it prints is appended to `output`, which is put aside at a start when it is long."""

    def __init__(self, process: asyncio.subprocess.Process, output: Path, printed: int) -> None:
        self._process = process
        self._output = output
        self._printed = printed
        self.pid = process.pid

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str], output: Path
    ) -> ReplicaProcess:
        """In a session of its own, so that the group has the pid's number.

        Forked by the thread of the event loop, which lives as long as the agent: the replica asks
        the kernel to die with that thread.
        """
        with _open_output(output) as file:
            printed = file.tell()
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=dict(environment),
                start_new_session=True,
            )
        return cls(process, output, printed)

    async def wait(self) -> int:
        """The exit status of the first process, as soon as none of its group is left."""
        status = await self._process.wait()
        await self._end_group()
        return status

    def kill(self) -> None:
        """SIGKILL to all of it, also where it was halted; `wait` tells when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def stop(
        self,
        grace_seconds: float,
        number: signal.Signals = signal.SIGTERM,
        before: asyncio.Task[None] | None = None,
    ) -> None:
        """A signal to the first process, which drains; after the grace SIGKILL to the group.

        `before` is a stop with more time, which this one puts an end to.
        """
        if before:
            await end(before)
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), grace_seconds)
        await self._end_group()

    async def _end_group(self) -> None:
        """Kills what is left and waits until it is gone: its devices are given to others then.

        The members are no children of this process, so nothing tells when they end.
        """
        deadline = time.monotonic() + _GROUP_GONE_SECONDS
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(self.pid, signal.SIGKILL)
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def last_words(self) -> str:
        """Why it ended, as far as it said so; "" when it said nothing."""
        if not self._output.exists():
            return ""
        with self._output.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(min(self._printed, size), size - _TAIL_BYTES))
            return last_words(file.read().decode(errors="replace"))


def _open_output(output: Path) -> BinaryIO:
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.exists() and output.stat().st_size > _MAX_OUTPUT_BYTES:
        output.replace(output.with_suffix(".out.old"))
    return output.open("ab")


def describe_status(status: int) -> str:
    """An exit status in words."""
    if status == -signal.SIGKILL:
        return "it was killed (SIGKILL), by a person or by the kernel for want of memory"
    if status < 0:
        return f"it was ended by {signal.Signals(-status).name}"
    return f"it ended with status {status}"


def last_words(text: str) -> str:
    """The newest reason in lines of our log, else the last plain line.

    Where vLLM only points to the root cause that its other process has told above, it is that.
    """
    plain = ""
    for line in reversed(text.splitlines()):
        entry = _log_line(line)
        if entry is None:
            plain = plain or line.strip()
        elif entry.get("level") in ("error", "critical"):
            said = str(entry.get("reason") or _last_line(entry.get("exception")))
            said = said or str(entry.get("message", ""))
            return ((_root_cause(text) if _POINTS_ABOVE in said else "") or said)[:_MAX_REASON]
    return plain[:_MAX_REASON]


def _root_cause(text: str) -> str:
    """The newest error that a traceback in plain lines ends with; "" when there is none."""
    found = [
        match["error"]
        for line in text.splitlines()
        if _log_line(line) is None
        and (match := _ERROR_LINE.search(line))
        and _POINTS_ABOVE not in line
    ]
    return found[-1] if found else ""


def _last_line(exception: object) -> str:
    return str(exception).strip().splitlines()[-1] if exception else ""


def _log_line(line: str) -> dict[str, object] | None:
    if not line.startswith("{"):
        return None
    try:
        entry: dict[str, object] = json.loads(line)
    except ValueError:
        return None
    return entry
