"""`python -m services.inference` as the launcher starts it, with echo replicas, on real Redis."""

from __future__ import annotations

import asyncio
import os
import signal

import httpx
import psutil
import pytest

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.devices.labels import host_processes
from services.cluster.devices.records import GIB, AssignmentRequest
from services.cluster.devices.room import yielding_replicas
from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.records import AdapterRecord, DeploymentPhase
from tests.inference.agent.running import ECHO, Host, gone

ADAPTER_CONFIG = '{"peft_type": "LORA", "r": 8, "lora_alpha": 16}'


async def test_a_deployment_lives_and_goes(host: Host) -> None:
    agent = await host.start_agent()
    await agent.PutDeployment(pb.PutDeploymentRequest(deployment=ECHO))
    first = await host.until_ready()
    assert os.getpgid(first.pid) == first.pid
    device = (await agent.ListDevices(pb.ListDevicesRequest())).devices[0]
    assert [(a.holder, a.device_bytes) for a in device.assignments] == [("replica/d-0", GIB)]

    os.kill(first.pid, signal.SIGKILL)
    second = await host.until_ready(not_pid=first.pid)

    too_much = pb.Deployment(model="echo/big", engine="echo", device_bytes=device.total_bytes)
    big = await agent.PutDeployment(pb.PutDeploymentRequest(deployment=too_much))
    view = await host.until(lambda view: "GiB free" in view.deployments[big.deployment_id].detail)
    assert view.deployments[big.deployment_id].phase is DeploymentPhase.PENDING

    await agent.DeleteDeployment(pb.DeleteDeploymentRequest(deployment_id="d"))
    await host.until(lambda view: "d-0" not in view.replicas)
    await gone(second.pid)
    # The other one has room now, and gets it without being asked again.
    await host.until(
        lambda view: view.deployments[big.deployment_id].phase is DeploymentPhase.READY
    )
    holders = {a.holder for a in (await host.devices.snapshot()).assignments}
    assert holders == {f"replica/{big.deployment_id}-0"}

    pid = (await host.registry.view()).replicas[f"{big.deployment_id}-0"].pid
    assert await host.end_agent(signal.SIGTERM) == 0
    assert not psutil.pid_exists(pid)
    view = await host.registry.view()
    assert (dict(view.replicas), dict(view.processes)) == ({}, {})
    assert view.deployments[big.deployment_id].phase is DeploymentPhase.PENDING
    assert (await host.devices.snapshot()).assignments == ()


async def test_adapters_come_and_go_while_the_replica_stays(host: Host) -> None:
    artifacts = ArtifactStore(host.settings.data_dir)
    with artifacts.draft(ArtifactKind.ADAPTER, "a1") as draft:
        draft.file("adapter_config.json").write_text(ADAPTER_CONFIG)
        draft.file("adapter_model.safetensors").write_bytes(b"")
        draft.publish()
    await host.registry.put_adapter(
        AdapterRecord(adapter_id="a1", model="echo/m", name="n", rank=8, created_at=1.0)
    )
    agent = await host.start_agent()
    await agent.PutDeployment(pb.PutDeploymentRequest(deployment=ECHO))
    replica = await host.until_ready()
    watching = aiter(agent.WatchDeployments(pb.WatchDeploymentsRequest()))
    assert [d.deployment_id for d in (await anext(watching)).deployments] == ["d"]
    change = pb.DeploymentAdapterRequest(deployment_id="d", adapter_id="a1", wait_seconds=30)
    answer = await agent.AddDeploymentAdapter(change)
    assert list(answer.adapter_ids) == ["a1"]
    assert list(answer.replicas[0].loaded_adapter_ids) == ["a1"]
    async with asyncio.timeout(10):  # what the agent says of the phase may come before it
        while list((await anext(watching)).deployments[0].adapter_ids) != ["a1"]:
            pass
    answer = await agent.RemoveDeploymentAdapter(change)
    assert not answer.replicas[0].loaded_adapter_ids
    assert (await host.until_ready()).pid == replica.pid


async def test_a_killed_agent_takes_its_replicas_along_and_begins_anew(host: Host) -> None:
    agent = await host.start_agent()
    await agent.PutDeployment(pb.PutDeploymentRequest(deployment=ECHO))
    replica = await host.until_ready()
    before = (await host.devices.snapshot()).assignments
    await host.end_agent(signal.SIGKILL)
    await gone(replica.pid)
    # What a deployment held that was deleted meanwhile is given back; the rest is used again.
    await host.devices.assign(AssignmentRequest(holder="replica/deleted-0", device_bytes=GIB))
    await host.start_agent()
    await host.until_ready(not_pid=replica.pid)
    assert (await host.devices.snapshot()).assignments == before
    assert await host.end_agent(signal.SIGINT) == 0


async def test_a_deployment_makes_room_for_a_run_and_comes_back(host: Host) -> None:
    agent = await host.start_agent()
    await agent.PutDeployment(
        pb.PutDeploymentRequest(
            deployment=pb.Deployment(
                deployment_id="d",
                model="echo/m",
                engine="echo",
                device_bytes=GIB,
                yields_to_runs=True,
            )
        )
    )
    replica = await host.until_ready()
    snapshot = await host.devices.snapshot()
    request = AssignmentRequest("run/r", device_bytes=snapshot.devices[0].total_bytes)
    yielding = yielding_replicas((await host.registry.view()).deployments.values())
    assert await host.rooms.ask(snapshot, request, yielding)
    sentence = "Replica d-0 makes room for run/r and comes back after it."
    view = await host.until(lambda view: view.deployments["d"].detail == sentence)
    assert view.deployments["d"].phase is DeploymentPhase.PENDING
    await gone(replica.pid)
    assert await host.devices.assign(request)
    assert (await host.registry.view()).deployments["d"].detail == sentence
    assert await host.devices.release("run/r")
    await host.until_ready(not_pid=replica.pid)


async def test_gpus_of_the_double_are_measured_and_assigned(host: Host) -> None:
    host.changes = {"HEARTH_NVML_DOUBLE": "1", "HEARTH_NVML_DOUBLE_GPUS": "8,8"}
    agent = await host.start_agent()
    await agent.PutDeployment(pb.PutDeploymentRequest(deployment=ECHO))
    replica = await host.until_ready()
    device = next(
        d for d in (await agent.ListDevices(pb.ListDevicesRequest())).devices if d.assignments
    )
    assert (device.kind, device.name) == ("cuda", "NVML double")
    assert host_processes()[replica.pid].visible_ids == {device.device_id}
    address = next(iter((await host.registry.view()).processes.values())).metrics_address
    wanted = f'device="{device.device_id}",holder="replica/d-0",host="here",kind="cuda"'
    async with asyncio.timeout(30):
        while f"hearth_device_bytes{{{wanted}}} 1.073741824e+09" not in await metrics(address):
            await asyncio.sleep(0.1)


async def metrics(address: str) -> str:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"http://{address}/metrics")).text


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"HEARTH_CLUSTER_KEY": ""}, b"HEARTH_CLUSTER_KEY"),
        ({"HEARTH_NVML_DOUBLE_GPUS": "24,many"}, b"HEARTH_NVML_DOUBLE_GPUS"),
    ],
)
async def test_what_can_never_work_ends_with_2_and_a_sentence(
    host: Host, changes: dict[str, str], word: bytes
) -> None:
    process = await host.run(changes)
    _, said = await process.communicate()
    assert process.returncode == 2
    assert word in said
