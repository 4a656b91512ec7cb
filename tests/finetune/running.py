"""`python -m services.finetune` as the launcher starts it, beside an echo replica of this test."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from services.cluster.artifacts.store import ArtifactStore
from services.cluster.devices.assignments import Devices
from services.cluster.devices.fingerprint import fingerprints
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.cluster.pb.v1 import finetune_pb2_grpc as rpc
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.cluster.registry_cache import Heartbeat
from services.cluster.rpc import open_channel
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.cluster.tasks import end
from services.inference.agent.device_reports import DeviceReports
from services.inference.agent.quarantines import Quarantines
from tests.finetune.datasets import DATASET, PROJECT
from tests.gateway.conftest import MODEL, EchoReplica, deployment, echo_replica

ENDED = (pb.RUN_STATUS_SUCCEEDED, pb.RUN_STATUS_FAILED, pb.RUN_STATUS_CANCELLED)


@dataclass
class FinetuneHost:
    settings: ClusterSettings
    registry: Registry
    replica: EchoReplica
    process: asyncio.subprocess.Process | None = None
    stub: rpc.FinetuneAsyncStub = field(init=False)

    @property
    def artifacts(self) -> ArtifactStore:
        return ArtifactStore(self.settings.data_dir)

    async def start(self, **changes: str) -> None:
        """Returns when it says that it is ready."""
        environment = {
            **{name: value for name, value in os.environ.items() if "HEARTH" not in name},
            "HEARTH_REDIS_URL": self.settings.redis_url,
            "HEARTH_DATA_DIR": str(self.settings.data_dir),
            "HEARTH_CLUSTER_KEY": self.settings.key,
            "HEARTH_HOST_ID": "here",
            "HEARTH_RUN_LEASE_SECONDS": "2",
        }
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.finetune", env=environment | changes
        )
        async with asyncio.timeout(60):
            async for view in self.registry.watch():
                for record in view.processes.values():
                    if record.pid == self.process.pid and record.status == "ready":
                        channel = open_channel(record.address, self.settings)
                        self.stub = rpc.FinetuneStub(channel)
                        return

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 30)

    def trainers(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    async def create(self, **changes: object) -> pb.Run:
        return await self.stub.CreateRun(pb.CreateRunRequest(spec=run_spec(**changes)))

    async def run_when(self, run_id: str, holds: Callable[[pb.Run], bool]) -> pb.Run:
        async with asyncio.timeout(120):
            while True:
                run = await self.stub.GetRun(pb.GetRunRequest(run_id=run_id))
                if holds(run):
                    return run
                assert run.status not in ENDED, run
                await asyncio.sleep(0.05)

    async def history(self, run_id: str, after: str = "") -> list[pb.RunEvent]:
        request = pb.WatchRunRequest(run_id=run_id, after_event_id=after, history_only=True)
        return [event async for event in self.stub.WatchRun(request)]


def run_spec(**changes: object) -> pb.RunSpec:
    """Small enough for a few seconds of the tiny model; `parameters` may be changed by name."""
    parameters = pb.RunParameters(
        train_steps=8,
        batch_size=4,
        context_tokens=128,
        learning_rate=3e-3,
        warmup_num_steps=1,
        early_stop_share=0,
    )
    spec = pb.RunSpec(
        project_id=PROJECT,
        dataset_id=DATASET,
        model=MODEL,
        max_evaluation_cases=24,
        parameters=parameters,
    )
    for name, value in changes.items():
        target = spec if hasattr(spec, name) else spec.parameters
        setattr(target, name, value)
    return spec


def ended(run: pb.Run) -> bool:
    return run.status in ENDED


@asynccontextmanager
async def finetune_host(
    store: Store, settings: ClusterSettings, model_folder: Path
) -> AsyncIterator[FinetuneHost]:
    """Not started yet; whatever it started is gone after the block."""
    registry = Registry(store)
    await registry.put_model(
        ModelRecord(
            name=MODEL,
            origin="local",
            local_path=str(model_folder),
            context_tokens=512,
            fim_family="qwen2.5-coder",
            supports_finetune=True,
            host_id="here",
        )
    )
    await registry.put_deployment(deployment())
    devices = Devices(store)
    reports = DeviceReports(
        devices, registry, "here", fingerprints(settings), Quarantines(devices, 0)
    )
    await reports.look(time.monotonic())
    reporting = asyncio.create_task(reports.run())
    async with (
        echo_replica(settings, registry, "r1", settings.data_dir) as replica,
        Heartbeat(lambda: registry.put_replica(replica.state.record())),
    ):
        host = FinetuneHost(settings, registry, replica)
        try:
            yield host
        finally:
            if host.process:
                await host.end(signal.SIGKILL)
            await end(reporting)
