"""A deployment changes while people use it: real agent, real replicas, a gateway in front."""

from __future__ import annotations

import asyncio
import json
import signal

import httpx
import psutil
import pytest

from services.cluster.devices.records import GIB
from services.cluster.identity import Scope
from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.pb.v1 import inference_pb2_grpc as rpc
from services.cluster.records import DeploymentPhase, ReplicaPhase
from services.cluster.registry import ClusterView
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.gateway.conftest import gateway_settings, serving
from tests.inference.agent.running import ECHO, Host

NUM_TOKENS = 200
REQUEST = {"model": ECHO.model, "prompt": "def f():", "temperature": 0}


def changed(**fields: int) -> pb.PutDeploymentRequest:
    deployment = pb.Deployment()
    deployment.CopyFrom(ECHO)
    for name, value in fields.items():
        setattr(deployment, name, value)
    return pb.PutDeploymentRequest(deployment=deployment)


async def stream(client: httpx.AsyncClient, begun: asyncio.Event) -> list[str]:
    """The data of a long answer's events."""
    found = []
    body = {**REQUEST, "max_tokens": NUM_TOKENS, "stream": True}
    async with client.stream("POST", "/v1/completions", json=body) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                found.append(line.removeprefix("data: "))
                begun.set()
    return found


async def ask_again_and_again(client: httpx.AsyncClient, over: asyncio.Event) -> list[int]:
    """Statuses of short requests, one after another."""
    statuses = []
    while not over.is_set():
        answer = await client.post("/v1/completions", json={**REQUEST, "max_tokens": 2})
        statuses.append(answer.status_code)
    return statuses


def serves_only(view: ClusterView, replica_id: str) -> bool:
    ready = {i for i, r in view.replicas.items() if r.phase is ReplicaPhase.READY}
    return ready == {replica_id} and view.deployments["d"].phase is DeploymentPhase.READY


async def test_no_request_is_lost_while_a_deployment_changes(
    host: Host, store: Store, settings: ClusterSettings
) -> None:
    # A token takes so long that the long answer outlives its replica's successor's start.
    host.changes = {"HEARTH_ECHO_TOKEN_SECONDS": "0.05", "HEARTH_DRAIN_SECONDS": "0"}
    agent = await host.start_agent()
    await agent.PutDeployment(changed())
    first = await host.until_ready()
    async with (
        serving(gateway_settings(settings), store) as gateway,
        gateway.client(Scope.COMPLETIONS) as client,
        asyncio.TaskGroup() as tasks,
    ):
        begun, over = asyncio.Event(), asyncio.Event()
        long = tasks.create_task(stream(client, begun))
        short = [tasks.create_task(ask_again_and_again(client, over)) for _ in range(3)]
        await begun.wait()
        await agent.PutDeployment(changed(context_tokens=2048))
        both = await host.until(lambda view: "d-0.1" in view.replicas)
        assert both.replicas["d-0"].phase is ReplicaPhase.READY
        view = await host.until(lambda view: serves_only(view, "d-0.1"))
        assert view.replicas["d-0.1"].context_tokens == 2048
        assert not long.done(), "the old one finishes what it has begun"
        await host.until(lambda view: "d-0" not in view.replicas)
        over.set()
    *events, done = long.result()
    assert done == "[DONE]"
    assert sum(len(json.loads(data)["choices"][0]["text"]) for data in events) == NUM_TOKENS
    statuses = [status for task in short for status in task.result()]
    assert set(statuses) == {200}
    assert len(statuses) > 20
    assert first.pid != view.replicas["d-0.1"].pid


async def test_without_room_for_both_the_old_one_goes_first_and_it_is_said(host: Host) -> None:
    agent = await host.start_agent()
    whole = (await agent.ListDevices(pb.ListDevicesRequest())).devices[0].total_bytes
    await agent.PutDeployment(changed(device_bytes=whole))
    await host.until_ready()
    await agent.PutDeployment(changed(device_bytes=whole - GIB))
    said = "Replica d-0.1 waits until d-0 has given its devices back"
    await host.until(lambda view: said in view.deployments["d"].detail)
    await host.until(lambda view: serves_only(view, "d-0.1"))
    snapshot = await host.devices.snapshot()
    assert [(a.holder, a.device_bytes) for a in snapshot.assignments] == [
        ("replica/d-0.1", whole - GIB)
    ]


async def test_a_change_that_no_host_can_carry_out_costs_nobody_anything(host: Host) -> None:
    agent: rpc.InferenceAsyncStub = await host.start_agent()
    await agent.PutDeployment(changed())
    first = await host.until_ready()
    with pytest.raises(Exception, match="devices_per_replica"):
        await agent.PutDeployment(changed(devices_per_replica=2))
    # Another deployment has the rest: there is room for it on no terms, and d-0 serves on.
    device = (await agent.ListDevices(pb.ListDevicesRequest())).devices[0]
    rest = pb.Deployment(
        deployment_id="rest", model="echo/r", engine="echo", device_bytes=device.total_bytes - GIB
    )
    await agent.PutDeployment(pb.PutDeploymentRequest(deployment=rest))
    await host.until(lambda view: view.deployments["rest"].phase is DeploymentPhase.READY)
    await agent.PutDeployment(changed(device_bytes=2 * GIB))
    view = await host.until(lambda view: "GiB free" in view.deployments["d"].detail)
    assert view.deployments["d"].phase is DeploymentPhase.DEGRADED
    assert view.replicas["d-0"].pid == first.pid
    assert view.replicas["d-0"].phase is ReplicaPhase.READY


async def test_an_agent_that_is_stopped_hurries_a_replica_up_that_takes_its_time(
    host: Host, store: Store, settings: ClusterSettings
) -> None:
    host.changes = {"HEARTH_ECHO_TOKEN_SECONDS": "0.5", "HEARTH_DRAIN_SECONDS": "0"}
    agent = await host.start_agent()
    await agent.PutDeployment(changed())
    old = await host.until_ready()
    async with (
        serving(gateway_settings(settings), store) as gateway,
        gateway.client(Scope.COMPLETIONS) as client,
    ):
        begun = asyncio.Event()
        long = asyncio.create_task(stream(client, begun))
        await begun.wait()
        await agent.PutDeployment(changed(context_tokens=2048))
        await host.until(lambda view: view.replicas["d-0"].phase is ReplicaPhase.DRAINING)
        assert await host.end_agent(signal.SIGTERM) == 0
        assert not psutil.pid_exists(old.pid)
        assert "[DONE]" not in await long, "what was broken off is not called whole"
