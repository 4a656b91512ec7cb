"""`python -m services.inference`, killed in the middle of a download."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest

from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.pb.v1 import inference_pb2_grpc as rpc
from services.cluster.records import DeploymentPhase, ReplicaPhase
from services.cluster.registry import ClusterView, Registry
from services.cluster.rpc import open_channel
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.inference.weights.conftest import BIG, MODEL
from tests.inference.weights.hub_double import HubDouble

HALF = 2_000_000
pytestmark = pytest.mark.slow


class Agent:
    def __init__(self, process: asyncio.subprocess.Process, stub: rpc.InferenceAsyncStub) -> None:
        self.process = process
        self.stub = stub

    async def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        await asyncio.wait_for(self.process.wait(), 30)


async def until(registry: Registry, holds: Callable[[ClusterView], bool]) -> ClusterView:
    async with asyncio.timeout(60):
        async for view in registry.watch():
            if holds(view):
                return view
    raise AssertionError("the registry ended")


@asynccontextmanager
async def agent(
    settings: ClusterSettings, registry: Registry, hub: HubDouble
) -> AsyncIterator[Agent]:
    environment = {
        **{name: value for name, value in os.environ.items() if "HEARTH" not in name},
        "HEARTH_REDIS_URL": settings.redis_url,
        "HEARTH_DATA_DIR": str(settings.data_dir),
        "HEARTH_CLUSTER_KEY": settings.key,
        "HEARTH_HOST_ID": "here",
        "HEARTH_STARTER": "0",
        "HEARTH_ALLOW_ECHO": "1",
        "HEARTH_HUB_URL": hub.url,
        "HEARTH_HUB_TOKEN": hub.token,
        "HEARTH_DOWNLOAD_LEASE_SECONDS": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.inference", env=environment
    )
    try:
        view = await until(
            registry,
            lambda view: any(
                p.pid == process.pid and p.status == "ready" for p in view.processes.values()
            ),
        )
        address = next(p.address for p in view.processes.values() if p.pid == process.pid)
        async with open_channel(address, settings) as channel:
            stub: rpc.InferenceAsyncStub = rpc.InferenceStub(channel)
            yield Agent(process, stub)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def arrived(folder: Path, num_bytes: int) -> None:
    async with asyncio.timeout(20):
        while not any(p.stat().st_size >= num_bytes for p in folder.rglob(f"{BIG}.part")):
            await asyncio.sleep(0.02)


async def weights(agent: Agent) -> pb.Weights:
    models = (await agent.stub.ListModels(pb.ListModelsRequest())).models
    return next(model.weights for model in models if model.name == MODEL)


async def test_a_killed_agent_goes_on_where_it_was(
    store: Store, settings: ClusterSettings, hub: HubDouble, model_folder: Path
) -> None:
    registry = Registry(store)
    hub.add(MODEL, model_folder)
    hub.token = "hub-secret"
    size = (model_folder / BIG).stat().st_size
    async with agent(settings, registry, hub) as first:
        added = await first.stub.AddModel(pb.AddModelRequest(hub_id=MODEL))
        assert added.weights.state == pb.WEIGHTS_STATE_ABSENT
        headers = hub.served(BIG)
        hub.faults.stall, hub.faults.stall_after = 1, HALF
        wanted = pb.Deployment(deployment_id="d", model=MODEL)
        await first.stub.PutDeployment(pb.PutDeploymentRequest(deployment=wanted))
        told = f"Weights of {MODEL} are being downloaded: 2.0 of 4.0 MB"
        view = await until(registry, lambda view: told in view.deployments["d"].detail)
        assert view.deployments["d"].phase is DeploymentPhase.STARTING
        assert view.replicas["d-0"].phase is ReplicaPhase.DOWNLOADING
        await arrived(settings.data_dir, HALF)
        listed = await weights(first)
        assert listed.state == pb.WEIGHTS_STATE_DOWNLOADING
        assert listed.present_bytes >= HALF
        await first.end(signal.SIGKILL)
    await registry.delete_deployment("d")
    hub.released.set()
    async with agent(settings, registry, hub) as second:
        call = second.stub.DownloadWeights(pb.DownloadWeightsRequest(model=MODEL))
        last = [message async for message in call][-1]
        assert last.present_bytes == last.total_bytes
        listed = await weights(second)
        assert listed.state == pb.WEIGHTS_STATE_PRESENT
        await second.end(signal.SIGTERM)
    assert second.process.returncode == 0
    sent = [r.first_byte for r in hub.requests if r.path.endswith(BIG) and "/cdn/" in r.path]
    assert sent[-1] >= HALF
    assert hub.served(BIG) - headers == size


async def test_refusals_come_over_rpc_and_nothing_is_left(
    store: Store, settings: ClusterSettings, hub: HubDouble, model_folder: Path
) -> None:
    hub.add(MODEL, model_folder)
    async with agent(settings, Registry(store), hub) as one:
        with pytest.raises(grpc.aio.AioRpcError, match="There is no model owner/other"):
            await one.stub.AddModel(pb.AddModelRequest(hub_id="owner/other"))
        with pytest.raises(grpc.aio.AioRpcError, match="No download of"):
            await one.stub.AddModel(pb.AddModelRequest(hub_id=MODEL))
            await one.stub.CancelDownload(pb.CancelDownloadRequest(model=MODEL))
        await one.stub.RemoveModel(pb.RemoveModelRequest(name=MODEL))
        assert not list((settings.data_dir / "weights").iterdir())
        await one.end(signal.SIGTERM)
    assert one.process.returncode == 0
