"""A host with four GPUs of the double: sharding, sharing, refusals, and what each replica sees."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import grpc.aio
import pytest

from services.cluster.devices.labels import host_processes
from services.cluster.devices.records import GIB
from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.pb.v1 import inference_pb2_grpc as rpc
from services.cluster.records import DeploymentPhase, ModelRecord, ReplicaPhase, ReplicaRecord
from services.cluster.registry import ClusterView
from services.inference.engines.environment import VISIBLE_DEVICES
from tests.inference.agent.running import Host

FOUR_GPUS = {"HEARTH_NVML_DOUBLE": "1", "HEARTH_NVML_DOUBLE_GPUS": "24,24,24,24"}
EIGHT_HEADS = ModelRecord(
    name="m/heads",
    origin="local",
    num_parameters=1_000_000,
    weights_bytes=2_000_000,
    context_tokens=4096,
    kv_values_per_token=64,
    num_layers=2,
    num_heads=8,
    num_kv_heads=4,
)


def echo(deployment_id: str, **fields: Any) -> pb.Deployment:
    return pb.Deployment(
        deployment_id=deployment_id, model=EIGHT_HEADS.name, engine="echo", **fields
    )


async def started(host: Host) -> rpc.InferenceAsyncStub:
    host.changes = FOUR_GPUS
    await host.registry.put_model(EIGHT_HEADS)
    return await host.start_agent()


async def put(agent: rpc.InferenceAsyncStub, deployment: pb.Deployment) -> None:
    await agent.PutDeployment(pb.PutDeploymentRequest(deployment=deployment))


async def ready(host: Host, *replica_ids: str) -> dict[str, ReplicaRecord]:
    def all_ready(view: ClusterView) -> bool:
        found = [view.replicas.get(replica_id) for replica_id in replica_ids]
        return all(r is not None and r.phase is ReplicaPhase.READY for r in found)

    return dict((await host.until(all_ready)).replicas)


def logged(host: Host, replica_id: str) -> dict[str, dict[str, str]]:
    """The lines of a replica's log, by message."""
    log = host.settings.data_dir / "logs" / f"replica-{replica_id}.log"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return {line["message"]: line for line in lines}


def printed(host: Host, replica_id: str) -> str:
    """What the replica says that it sees of the host's GPUs."""
    return logged(host, replica_id)["replica begins"][VISIBLE_DEVICES]


@pytest.mark.parametrize("num", [1, 2, 4])
async def test_a_replica_sees_exactly_the_devices_that_it_is_spread_over(
    host: Host, num: int
) -> None:
    agent = await started(host)
    await put(agent, echo("d", devices_per_replica=num))
    replica = (await ready(host, "d-0"))["d-0"]
    assert len(replica.device_ids) == num
    assert printed(host, "d-0").split(",") == list(replica.device_ids)
    assert host_processes()[replica.pid].visible_ids == set(replica.device_ids)
    devices = (await agent.ListDevices(pb.ListDevicesRequest())).devices
    held = {d.device_id for d in devices if d.assignments}
    assert held == set(replica.device_ids)
    assert len(devices) == 4


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"devices_per_replica": 3}, grpc.StatusCode.INVALID_ARGUMENT, "try 1, 2, 4, 8, 16."),
        ({"devices_per_replica": 8}, grpc.StatusCode.FAILED_PRECONDITION, "needs 8 cuda device(s)"),
        ({"device_bytes": 25 * GIB}, grpc.StatusCode.FAILED_PRECONDITION, "24.0 of 24.0 GiB free"),
    ],
)
async def test_what_cannot_be_leaves_nothing_running(
    host: Host, fields: dict[str, int], status: grpc.StatusCode, words: str
) -> None:
    agent = await started(host)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await put(agent, echo("d", **fields))
    assert refusal.value.code() is status
    assert words in str(refusal.value.details())
    too_long = pb.Deployment(model=EIGHT_HEADS.name, engine="vllm", context_tokens=4097)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await put(agent, too_long)
    assert "takes at most 4096" in str(refusal.value.details())
    view = await host.registry.view()
    assert (dict(view.deployments), dict(view.replicas)) == ({}, {})
    assert (await host.devices.snapshot()).assignments == ()


async def test_three_models_share_a_gpu_and_a_fourth_that_does_not_fit_waits(host: Host) -> None:
    host.changes = {"HEARTH_NVML_DOUBLE": "1", "HEARTH_NVML_DOUBLE_GPUS": "24"}
    await host.registry.put_model(EIGHT_HEADS)
    agent = await host.start_agent()
    for name in ("a", "b", "c"):
        await put(agent, echo(name, device_bytes=7 * GIB))
    replicas = await ready(host, "a-0", "b-0", "c-0")
    assert len({replicas[f"{name}-0"].device_ids for name in "abc"}) == 1
    assert len({replicas[f"{name}-0"].pid for name in "abc"}) == 3
    # One after another: an engine measures what the device has left.
    logs = [logged(host, f"{name}-0") for name in "abc"]
    starts = sorted((log["replica begins"]["time"], log["replica ready"]["time"]) for log in logs)
    assert all(ready < begins for (_, ready), (begins, _) in pairwise(starts))

    wanted = echo("fourth", device_bytes=7 * GIB)
    plan = await agent.PlanDeployment(pb.PlanDeploymentRequest(deployment=wanted))
    assert not plan.fits
    for words in ("7.0 GiB each", "3.0 of 24.0 GiB free", "replica/a-0 (7.0 GiB)"):
        assert words in plan.refusal
    await put(agent, wanted)
    view = await host.until(lambda view: "GiB free" in view.deployments["fourth"].detail)
    assert view.deployments["fourth"].phase is DeploymentPhase.PENDING
    assert "fourth-0" not in view.replicas
    await agent.DeleteDeployment(pb.DeleteDeploymentRequest(deployment_id="b"))
    await ready(host, "a-0", "c-0", "fourth-0")
