"""The processes of the bench of inference: a replica, the same engine directly, transformers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.cluster.records import DeploymentRecord, ReplicaPhase
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.inference.engines.environment import engine_environment
from services.inference.models.reading import read_model
from tests.bench.engine_callers import Answer, Burst, Prompt
from tests.bench.token_frames import READY

ROOT = Path(__file__).parents[2]
_START_SECONDS = 300
_KV_CACHE_BYTES = 512 * 1024**2
_NUM_THREADS = 1
_LINE_BYTES = 16 * 1024**2
_SHOWN_LETTERS = 4000  # of a log, when its process has ended


@dataclass(frozen=True)
class Engines:
    """Where the replica's RPC server and the direct engine's socket are, and whose."""

    address: str
    replica_pid: int
    socket: Path
    direct_pid: int


@asynccontextmanager
async def engines(
    name: str, folder: Path, max_tokens: int, settings: ClusterSettings, registry: Registry
) -> AsyncIterator[Engines]:
    """Both run during the block, started from the same records."""
    await registry.put_model(read_model(name, folder, origin="local"))
    deployment = DeploymentRecord(deployment_id=name, model=name, created_at=0, updated_at=0)
    await registry.put_deployment(deployment)
    arguments = (
        *("--replica-id", name, "--deployment-id", name),
        *("--devices", "cpu", "--kv-cache-bytes", str(_KV_CACHE_BYTES)),
        *("--agent-pid", str(os.getpid())),
    )
    environment = {
        "HEARTH_REDIS_URL": settings.redis_url,
        "HEARTH_DATA_DIR": str(settings.data_dir),
        "HEARTH_CLUSTER_KEY": settings.key,
        "HEARTH_LOG_LEVEL": "WARNING",
    }
    socket = settings.data_dir / f"{name}.sock"
    replica_log, direct_log = (settings.data_dir / f"{kind}.log" for kind in ("replica", "direct"))
    replica = await _started("services.inference.replica", arguments, replica_log, environment)
    direct_arguments = (str(socket), str(max_tokens), *arguments)
    direct = await _started("tests.bench.direct_engine", direct_arguments, direct_log, environment)
    try:
        async with asyncio.timeout(_START_SECONDS):
            while await _line(direct, direct_log) != READY:
                pass
            address = await _address_when_ready(replica, replica_log, registry, name)
        yield Engines(address, replica.pid, socket, direct.pid)
    finally:
        await _end(replica)
        await _end(direct)


class Transformers:
    """Answers prompts one after another."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self._log = log

    @classmethod
    @asynccontextmanager
    async def started(
        cls, model_folder: Path, max_tokens: int, data_dir: Path
    ) -> AsyncIterator[Transformers]:
        arguments = (str(model_folder), str(max_tokens))
        log = data_dir / "transformers.log"
        process = await _started("tests.bench.transformers_generate", arguments, log)
        try:
            yield cls(process, log)
        finally:
            await _end(process)

    async def burst(self, prompts: Sequence[Prompt]) -> Burst:
        assert self._process.stdin is not None
        begun = time.perf_counter()
        self._process.stdin.write(json.dumps([list(prompt) for prompt in prompts]).encode() + b"\n")
        answers = json.loads(await _line(self._process, self._log))
        return Burst([Answer(token_ids) for token_ids in answers], time.perf_counter() - begun)


async def finished(module: str, arguments: Sequence[str], log: Path) -> None:
    """Raises ChildProcessError, with the end of the log, when it failed."""
    process = await _started(module, arguments, log)
    await process.communicate()
    if process.returncode:
        raise ChildProcessError(log.read_text(errors="replace")[-_SHOWN_LETTERS:])


async def _started(
    module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Process:
    """A process group of its own, with the environment of a replica."""
    with log.open("wb") as errors:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            env={
                **os.environ,
                **engine_environment("cpu", (), _NUM_THREADS),
                **(environment or {}),
            },
            cwd=ROOT,
            stdin=PIPE,
            stdout=PIPE,
            stderr=errors,
            limit=_LINE_BYTES,
            start_new_session=True,
        )


async def _line(process: Process, log: Path) -> str:
    """Raises ChildProcessError, with the end of the log, when the process has ended."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise ChildProcessError(log.read_text(errors="replace")[-_SHOWN_LETTERS:])
    return line.decode().strip()


async def _address_when_ready(
    process: Process, log: Path, registry: Registry, replica_id: str
) -> str:
    while process.returncode is None:
        record = (await registry.view()).replicas.get(replica_id)
        if record and record.phase is ReplicaPhase.READY:
            return record.address
        await asyncio.sleep(0.2)
    raise ChildProcessError(log.read_text(errors="replace")[-_SHOWN_LETTERS:])


async def _end(process: Process) -> None:
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
    await process.communicate()
