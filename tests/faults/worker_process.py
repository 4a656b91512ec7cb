"""A worker process as a test sees it: what it says, and the signals that it gets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.faults.worker import Stage

ROOT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 30.0
_STOP_SECONDS = 5.0


class WorkerProcess:
    """`lines` are what it has said, oldest first."""

    def __init__(self, process: asyncio.subprocess.Process, holder: str, log: Path) -> None:
        self.holder = holder
        self.lines: list[dict[str, Any]] = []
        self._process = process
        self._log = log
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read(), name=f"read {holder}")

    @classmethod
    async def start(
        cls,
        data_dir: Path,
        redis_url: str,
        holder: str,
        lease_seconds: float,
        *gates: Stage,
        **options: float,
    ) -> WorkerProcess:
        """Returns when it says that it is ready. `options` are those of the command line."""
        words = [str(data_dir), redis_url, holder, "--lease-seconds", str(lease_seconds)]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        words += ["--gates", *gates]
        log = data_dir / f"{holder}-{os.urandom(3).hex()}.err"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.faults.worker", *words),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        worker = cls(process, holder, log)
        await worker.reaches(Stage.READY)
        return worker

    async def reaches(
        self,
        stage: Stage,
        *,
        seconds: float = _PATIENCE_SECONDS,
        **details: Any,
    ) -> dict[str, Any]:
        """Its first line of a stage with these details, said already or within the time."""
        wanted = {"stage": stage, **details}.items()
        try:
            async with asyncio.timeout(seconds), self._news:
                while True:
                    for line in self.lines:
                        if wanted <= line.items():
                            return line
                    assert not self._reading.done(), f"{self.holder} ended: {self._said()}"
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{self.holder} did not reach {stage}: {self._said()}") from None

    def said(self, stage: Stage, **details: Any) -> list[dict[str, Any]]:
        wanted = {"stage": stage, **details}.items()
        return [line for line in self.lines if wanted <= line.items()]

    def go_on(self, clock_ahead_seconds: float = 0.0) -> None:
        """From the gate, with its clock moved."""
        assert self._process.stdin is not None
        word = {"clock_ahead_seconds": clock_ahead_seconds}
        self._process.stdin.write(json.dumps(word).encode() + b"\n")

    def stop(self) -> None:
        """Returns when all its threads stand still (kill -STOP)."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def wake(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """kill -9; returns when it is gone and all that it said was read."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while text := await self._process.stdout.readline():
            if not text.endswith(b"\n"):
                break  # killed within a word
            async with self._news:
                self.lines.append(json.loads(text))
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    def _said(self) -> str:
        tail = self._log.read_text(errors="replace")[-3000:]
        return "\n".join([*map(str, self.lines[-20:]), tail])
