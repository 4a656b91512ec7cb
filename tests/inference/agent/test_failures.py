"""A replica that ends again and again is stopped, which is said; and what it said can be read."""

from __future__ import annotations

import asyncio
import os
import signal

import grpc.aio
import pytest

from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.records import DeploymentPhase, ReplicaPhase
from tests.inference.agent.running import ECHO, Host


@pytest.mark.slow
async def test_one_that_ends_again_and_again_is_left_alone_until_it_is_restarted(
    host: Host,
) -> None:
    agent = await host.start_agent()
    await agent.PutDeployment(pb.PutDeploymentRequest(deployment=ECHO))
    pid = 0
    for _ in range(5):
        pid = (await host.until_ready(not_pid=pid)).pid
        os.kill(pid, signal.SIGKILL)
    view = await host.until(lambda view: view.deployments["d"].phase is DeploymentPhase.FAILED)
    said = view.deployments["d"].detail
    assert "ended 5 times in a row" in said
    assert "SIGKILL" in said
    assert "the host's memory is too small" in said, "what to do about it"
    await agent.RestartDeployment(pb.RestartDeploymentRequest(deployment_id="d"))
    view = await host.until(
        lambda view: (
            "d-0.1" in view.replicas
            and view.replicas["d-0.1"].phase is ReplicaPhase.READY
            and view.deployments["d"].phase is DeploymentPhase.READY
        )
    )
    assert "d-0" not in view.replicas


async def test_a_log_is_read_and_followed_also_when_its_replica_is_gone(host: Host) -> None:
    agent = await host.start_agent()
    await agent.PutDeployment(pb.PutDeploymentRequest(deployment=ECHO))
    await host.until_ready()
    following = agent.ReadReplicaLog(
        pb.ReadReplicaLogRequest(replica_id="d-0", num_lines=1, follow=True)
    )
    first = await following.read()
    assert isinstance(first, pb.ReplicaLogLines)
    assert len(first.lines) == 1
    await agent.DeleteDeployment(pb.DeleteDeploymentRequest(deployment_id="d"))
    async with asyncio.timeout(20):
        while "replica drained" not in str(await following.read()):
            pass
    following.cancel()
    await host.until(lambda view: "d-0" not in view.replicas)
    for printed in (False, True):
        request = pb.ReadReplicaLogRequest(replica_id="d-0", printed=printed)
        lines = [line async for part in agent.ReadReplicaLog(request) for line in part.lines]
        assert any("replica ready" in line for line in lines)
    for replica_id, status in (
        ("d-7", grpc.StatusCode.NOT_FOUND),
        ("../d-0", grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await agent.ReadReplicaLog(pb.ReadReplicaLogRequest(replica_id=replica_id)).read()
        assert refusal.value.code() is status
