"""Real replica processes; all but one run the echo engine, which starts in no time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from services.cluster.errors import EngineUnavailable
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.pb.v1 import replica_pb2_grpc as rpc
from services.cluster.records import DeploymentRecord, ModelRecord, ReplicaPhase, ReplicaRecord
from services.cluster.registry import Registry
from services.cluster.rpc import open_channel
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.inference.engines.environment import engine_environment
from services.inference.serving.generations import Generations
from services.inference.serving.process import CANNOT_WORK, warm_up
from tests.inference.serving.replicas import (
    echo_engine,
    error_of,
    publish_adapter,
    text_request,
)

ROOT = Path(__file__).parents[3]
START_SECONDS = 60
STOP_SECONDS = 10

Start = Callable[..., Awaitable[Process]]


@pytest.fixture
def registry(store: Store) -> Registry:
    return Registry(store)


@pytest.fixture
async def start(settings: ClusterSettings) -> AsyncIterator[Start]:
    """Starts replica r1 of deployment d1; HEARTH settings by keyword, in lower case."""
    processes: list[Process] = []

    async def start_one(**changes: str) -> Process:
        environment = {
            **os.environ,
            **engine_environment("cpu", (), 1),
            "HEARTH_REDIS_URL": settings.redis_url,
            "HEARTH_DATA_DIR": str(settings.data_dir),
            "HEARTH_CLUSTER_KEY": settings.key,
            "HEARTH_ALLOW_ECHO": "1",
            **{f"HEARTH_{name.upper()}": value for name, value in changes.items()},
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "services.inference.replica", "--replica-id", "r1", "--deployment-id", "d1"),
            *("--devices", "cpu", "--agent-pid", str(os.getpid())),
            env=environment,
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        processes.append(process)
        return process

    yield start_one
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def deployment(**changes: Any) -> DeploymentRecord:
    fields = {"deployment_id": "d1", "model": "m", "engine": "echo", **changes}
    return DeploymentRecord(created_at=0, updated_at=0, **fields)


async def replica(
    registry: Registry, condition: Callable[[ReplicaRecord], bool], seconds: float = START_SECONDS
) -> ReplicaRecord:
    """The replica's record as soon as it is as wanted."""
    async with asyncio.timeout(seconds):
        while True:
            record = (await registry.view()).replicas.get("r1")
            if record and condition(record):
                return record
            await asyncio.sleep(0.02)


def is_ready(record: ReplicaRecord) -> bool:
    return record.phase is ReplicaPhase.READY


async def ended(process: Process, seconds: float = STOP_SECONDS) -> tuple[int | None, str]:
    async with asyncio.timeout(seconds):
        _, errors = await process.communicate()
    return process.returncode, errors.decode()


async def test_a_replica_serves_and_finishes_what_it_has_when_it_is_stopped(
    settings: ClusterSettings, registry: Registry, start: Start
) -> None:
    await registry.put_deployment(deployment())
    process = await start(echo_token_seconds="0.005")
    record = await replica(registry, is_ready)
    assert (record.engine, record.pid, record.device_ids) == ("echo", process.pid, ("cpu",))
    async with open_channel(record.address, settings) as channel:
        stub: rpc.ReplicaAsyncStub = rpc.ReplicaStub(channel)
        call = stub.Generate(text_request("abc", 60))
        await call.read()
        process.send_signal(signal.SIGTERM)
        await replica(registry, lambda record: record.phase is ReplicaPhase.DRAINING)
        refused = await error_of(stub.Generate(text_request("abc")))
        assert isinstance(refused, EngineUnavailable)
        last = [response async for response in call][-1]
        assert last.finish.reason == pb.FINISH_REASON_LENGTH
    status, errors = await ended(process)
    assert status == 0
    assert '"replica drained"' in errors


async def test_what_does_not_end_is_aborted_in_time(
    settings: ClusterSettings, registry: Registry, start: Start
) -> None:
    await registry.put_deployment(deployment())
    process = await start(echo_token_seconds="0.01", drain_seconds="0.2")
    record = await replica(registry, is_ready)
    async with open_channel(record.address, settings) as channel:
        stub: rpc.ReplicaAsyncStub = rpc.ReplicaStub(channel)
        call = stub.Generate(text_request("abc", 4000))
        await call.read()
        process.send_signal(signal.SIGTERM)
        last = [response async for response in call][-1]
    assert last.finish.reason == pb.FINISH_REASON_ABORTED
    assert (await ended(process))[0] == 0


async def test_it_has_the_adapters_that_its_deployment_wants(
    settings: ClusterSettings, registry: Registry, start: Start
) -> None:
    for adapter_id in ("a1", "b1"):
        publish_adapter(settings.data_dir, adapter_id)
    await registry.put_deployment(deployment(adapter_ids=("a1",)))
    await start()
    record = await replica(registry, is_ready)
    assert record.loaded_adapter_ids == ("a1",)  # from the moment on that it is ready
    await registry.put_deployment(deployment(adapter_ids=("b1",)))
    await replica(registry, lambda record: record.loaded_adapter_ids == ("b1",))
    publish_adapter(settings.data_dir, "wild", lora_alpha=1e30)
    await registry.put_deployment(deployment(adapter_ids=("b1", "wild")))
    record = await replica(registry, lambda record: bool(record.adapter_problems))
    assert "lora_alpha is 1e+30" in record.adapter_problems["wild"]
    await registry.delete_deployment("d1")
    await replica(
        registry, lambda record: not record.loaded_adapter_ids and not record.adapter_problems
    )


async def test_what_can_never_work_says_so_by_its_exit_status(
    registry: Registry, start: Start
) -> None:
    status, errors = await ended(await start(), START_SECONDS)
    assert status == CANNOT_WORK
    assert "There is no deployment d1." in errors
    await registry.put_deployment(deployment())
    status, errors = await ended(await start(allow_echo="0"), START_SECONDS)
    assert status == CANNOT_WORK
    assert "HEARTH_ALLOW_ECHO=1" in errors


@pytest.mark.e2e
async def test_a_stop_does_not_wait_for_an_engine_that_starts(
    registry: Registry, start: Start, tmp_path: Path
) -> None:
    """The import of vLLM, which takes many seconds, runs in a thread that nothing interrupts."""
    await registry.put_model(ModelRecord(name="m", origin="local", local_path=str(tmp_path)))
    await registry.put_deployment(deployment(engine="vllm"))
    process = await start()
    await replica(registry, lambda record: record.detail == "importing the engine")
    process.send_signal(signal.SIGTERM)
    assert (await ended(process))[0] == 0


async def test_the_first_request_asks_for_all_that_an_engine_compiles_late() -> None:
    engine = await echo_engine()
    await warm_up(engine, Generations(engine, 1))
    [seen] = engine.requests
    assert len(seen.prompt_token_ids) > 1  # the first has no log-probability
    assert seen.sampling.num_logprobs == 1
    assert seen.sampling.prompt_logprobs
