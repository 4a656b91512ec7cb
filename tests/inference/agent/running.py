"""A host of a test's own, whose agent is started as the launcher starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from services.cluster.devices.assignments import Devices
from services.cluster.devices.records import GIB
from services.cluster.devices.rooms import Rooms
from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.pb.v1 import inference_pb2_grpc as rpc
from services.cluster.records import DeploymentPhase, ReplicaPhase, ReplicaRecord
from services.cluster.registry import ClusterView, Registry
from services.cluster.rpc import open_channel
from services.cluster.settings import ClusterSettings

ECHO = pb.Deployment(deployment_id="d", model="echo/m", engine="echo", device_bytes=GIB)


@dataclass
class Host:
    """A host of a test's own, with or without an agent that runs."""

    settings: ClusterSettings
    registry: Registry
    devices: Devices
    rooms: Rooms
    agent: asyncio.subprocess.Process | None = None
    changes: dict[str, str] = field(default_factory=dict)  # of the agent's environment

    async def start_agent(self) -> rpc.InferenceAsyncStub:
        """Returns when it says that it is ready."""
        self.agent = await self.run(self.changes)
        pid = self.agent.pid
        view = await self.until(
            lambda view: any(p.pid == pid and p.status == "ready" for p in view.processes.values())
        )
        address = next(p.address for p in view.processes.values() if p.pid == pid)
        stub: rpc.InferenceAsyncStub = rpc.InferenceStub(open_channel(address, self.settings))
        return stub

    async def run(self, changes: dict[str, str]) -> asyncio.subprocess.Process:
        environment = {
            **{name: value for name, value in os.environ.items() if "HEARTH" not in name},
            "HEARTH_REDIS_URL": self.settings.redis_url,
            "HEARTH_DATA_DIR": str(self.settings.data_dir),
            "HEARTH_CLUSTER_KEY": self.settings.key,
            "HEARTH_HOST_ID": "here",
            "HEARTH_STARTER": "0",
            "HEARTH_ALLOW_ECHO": "1",
        }
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.inference",
            env=environment | changes,
            stderr=asyncio.subprocess.PIPE if changes is not self.changes else None,
        )

    async def until(self, holds: Callable[[ClusterView], bool]) -> ClusterView:
        async with asyncio.timeout(60):
            async for view in self.registry.watch():
                if holds(view):
                    return view
        raise AssertionError("the registry ended")

    async def until_ready(self, not_pid: int = 0) -> ReplicaRecord:
        """The replica d-0, ready, of another process than `not_pid`."""
        view = await self.until(
            lambda view: (
                is_ready(view.replicas.get("d-0"), not_pid)
                and view.deployments["d"].phase is DeploymentPhase.READY
            )
        )
        return view.replicas["d-0"]

    async def end_agent(self, number: signal.Signals) -> int:
        assert self.agent is not None
        if self.agent.returncode is None:
            self.agent.send_signal(number)
        return await asyncio.wait_for(self.agent.wait(), 30)


def is_ready(replica: ReplicaRecord | None, not_pid: int) -> bool:
    return replica is not None and replica.phase is ReplicaPhase.READY and replica.pid != not_pid


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)
