"""The trainer as a child: torch stays out of the service, and its death is only an attempt's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec

from services.cluster.devices.labels import label
from services.cluster.devices.records import AssignmentRecord
from services.cluster.errors import Internal
from services.finetune.trainer.messages import TrainerMessage, TrainingOrder, decode

_TAIL_BYTES = 16 * 1024
_MAX_REASON = 600
_LINE_BYTES = 1024 * 1024


class TrainerProcess:
    """Dies with this process, however that one ends. Standard error goes to `output`."""

    def __init__(self, process: asyncio.subprocess.Process, output: Path) -> None:
        self._process = process
        self._output = output
        self.pid = process.pid

    @classmethod
    async def start(
        cls, order: TrainingOrder, environment: Mapping[str, str], folder: Path
    ) -> TrainerProcess:
        """`folder` is the attempt's own."""
        place, output = folder / "order.json", folder / "trainer.out"
        await asyncio.to_thread(place.write_bytes, msgspec.json.encode(order))
        with output.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.finetune.trainer", str(place), str(os.getpid())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=dict(environment),
                start_new_session=True,
                limit=_LINE_BYTES,
            )
        return cls(process, output)

    async def messages(self) -> AsyncIterator[TrainerMessage]:
        """Until it has closed its end."""
        if self._process.stdout is None:
            raise Internal("The trainer was started without a pipe.")
        while line := await self._process.stdout.readline():
            if line.endswith(b"\n"):  # else it was killed in the middle of a word
                yield decode(line)

    def ask_to_stop(self) -> None:
        """It writes a checkpoint after the step that runs, and ends."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    async def wait(self) -> int:
        return await self._process.wait()

    async def kill(self) -> None:
        """Returns when it is gone: its device may be given to others then."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await self._process.wait()

    def last_words(self) -> str:
        """The last line it printed; "" for none."""
        if not self._output.exists():
            return ""
        with self._output.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - _TAIL_BYTES, 0))
            lines = file.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip() and "\r" not in line]
        return said[-1][:_MAX_REASON] if said else ""


def trainer_environment(
    inherited: Mapping[str, str], kind: str, assignment: AssignmentRecord, num_threads: int
) -> dict[str, str]:
    """Without Hearth's own settings: a trainer speaks to nobody, so it gets no secret."""
    kept = {name: value for name, value in inherited.items() if not name.startswith("HEARTH_")}
    threads = str(num_threads) if kind == "cpu" else "4"
    visible = ",".join(assignment.device_ids) if kind == "cuda" else ""
    return (
        kept
        | label(assignment)
        | {
            "CUDA_VISIBLE_DEVICES": visible,
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TQDM_DISABLE": "1",
            "PYTHONUNBUFFERED": "1",
        }
    )


def describe_end(status: int) -> str:
    """An exit status in words."""
    if status == -signal.SIGKILL:
        return "it was killed (SIGKILL), by a person or by the kernel for want of memory"
    if status < 0:
        return f"it was ended by {signal.Signals(-status).name}"
    return f"it ended with status {status}"
