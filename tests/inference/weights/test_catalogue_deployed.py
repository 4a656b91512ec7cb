"""`python -m services.inference`: a model of the catalogue is deployed, comes and starts."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest

from services.cluster.devices.records import GIB
from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.records import DeploymentPhase, ReplicaPhase
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.inference.weights.conftest import BIG
from tests.inference.weights.hub_double import COMMIT, HubDouble
from tests.inference.weights.test_agent_killed import agent, until

NAME, HUB_ID = "qwen2.5-coder/0.5b", "Qwen/Qwen2.5-Coder-0.5B"
WANTED = pb.Deployment(deployment_id="d", model=NAME, device_bytes=6 * GIB)
pytestmark = pytest.mark.slow


async def test_it_is_picked_comes_and_its_replica_starts(
    store: Store, settings: ClusterSettings, hub: HubDouble, model_folder: Path
) -> None:
    registry = Registry(store)
    hub.add(HUB_ID, model_folder)
    async with agent(settings, registry, hub) as here:
        known = {m.name: m for m in (await here.stub.ListModels(pb.ListModelsRequest())).models}
        assert (known[NAME].kind, known[NAME].hub_id) == ("catalogue", HUB_ID)
        assert known[NAME].weights.state == pb.WEIGHTS_STATE_ABSENT
        hub.faults.stall, hub.faults.stall_after = 1, 2_000_000
        await here.stub.PutDeployment(pb.PutDeploymentRequest(deployment=WANTED))
        told = f"Weights of {NAME} are being downloaded: 2.0 of 4.0 MB"
        view = await until(registry, lambda view: told in view.deployments["d"].detail)
        assert view.deployments["d"].phase is DeploymentPhase.STARTING
        assert view.replicas["d-0"].phase is ReplicaPhase.DOWNLOADING
        assert view.replicas["d-0"].present_bytes >= 2_000_000
        assert view.replicas["d-0"].total_bytes > 4_000_000
        assert (view.models[NAME].origin, view.models[NAME].commit) == ("hub", COMMIT)

        # One that waits for its weights holds no other up on the same device.
        other = pb.Deployment(deployment_id="e", model="echo/m", engine="echo", device_bytes=GIB)
        await here.stub.PutDeployment(pb.PutDeploymentRequest(deployment=other))
        view = await until(
            registry, lambda view: view.deployments["e"].phase is DeploymentPhase.READY
        )
        assert view.replicas["d-0"].phase is ReplicaPhase.DOWNLOADING

        hub.released.set()
        view = await until(registry, lambda view: view.replicas["d-0"].pid != 0)
        replica = psutil.Process(view.replicas["d-0"].pid)
        assert "--replica-id=d-0" in replica.cmdline()
        assert (view.models[NAME].folder(settings.data_dir) / BIG).stat().st_size > 4_000_000
        await here.end(signal.SIGTERM)
    assert here.process.returncode == 0


async def test_without_a_hub_it_says_so(
    store: Store, settings: ClusterSettings, hub: HubDouble
) -> None:
    registry = Registry(store)
    hub.url = ""
    async with agent(settings, registry, hub) as here:
        await here.stub.PutDeployment(pb.PutDeploymentRequest(deployment=WANTED))
        view = await until(registry, lambda view: "No hub is" in view.deployments["d"].detail)
        assert view.deployments["d"].phase is DeploymentPhase.FAILED
        assert view.replicas["d-0"].pid == 0
        await here.end(signal.SIGTERM)
