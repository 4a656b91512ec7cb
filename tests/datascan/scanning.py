"""A worker and all it needs in the test's own process, with an echo replica behind real RPC."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.cluster.jobs.records import TERMINAL, JobRecord
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.cluster.pb.v1 import replica_pb2_grpc
from services.cluster.project_records import ProjectRecord
from services.cluster.records import DeploymentRecord, ReplicaPhase
from services.cluster.registry import Registry
from services.cluster.registry_cache import RegistryCache
from services.cluster.rpc import RpcServer
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.cluster.tasks import end
from services.datascan.scan_attempt import Workplace
from services.datascan.scan_worker import scan_worker
from services.datascan.scans import Scans
from services.datascan.uploads import Uploads
from services.datascan.verdict_pages import page_of
from services.datascan.verdict_store import scan_place
from services.inference.engines.base import EngineConfig
from services.inference.engines.echo_engine import EchoEngine
from services.inference.serving.generations import Generations
from services.inference.serving.servicer import ReplicaServicer
from services.inference.serving.state import ReplicaState

MODEL = "test/echo"


@dataclass
class Scanning:
    place: Workplace
    cache: RegistryCache
    scans: Scans
    uploads: Uploads

    async def project(self, name: str = "web", **fields: object) -> str:
        given = {"project_id": name, "team_id": "t", "name": name, "created_at": 1, "updated_at": 1}
        await self.place.projects.create(ProjectRecord.model_validate({**given, **fields}))
        return name

    async def scan(self, project_id: str) -> JobRecord:
        return await self.scans.start(project_id, pb.SCAN_TRIGGER_USER)

    async def until(self, scan_id: str, holds: Callable[[JobRecord], bool]) -> JobRecord:
        async with asyncio.timeout(60):
            while not holds(job := await self.place.jobs.get(scan_id)):
                await asyncio.sleep(0.01)
        return job

    async def ended(self, scan_id: str) -> JobRecord:
        return await self.until(scan_id, lambda job: job.status in TERMINAL)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        task = asyncio.create_task(scan_worker(self.place, "w1").run())
        try:
            yield
        finally:
            await end(task)


@asynccontextmanager
async def echo_replica(
    settings: ClusterSettings, store: Store, folder: Path
) -> AsyncIterator[RpcServer]:
    now = time.time()
    deployment = DeploymentRecord(
        deployment_id="d1", model=MODEL, engine="echo", created_at=now, updated_at=now
    )
    engine = EchoEngine(EngineConfig(MODEL, folder, "cpu"))
    await engine.start(lambda phrase: None)
    state = ReplicaState("r1", deployment, "here", os.getpid(), ("cpu-here",))
    state.engine, state.generations = engine, Generations(engine, 64)
    server = RpcServer(settings)
    server.add(
        "hearth.v1.Replica",
        replica_pb2_grpc.add_ReplicaServicer_to_server,
        ReplicaServicer(state),
    )
    state.address = await server.start()
    state.set(ReplicaPhase.READY)
    await Registry(store).put_replica(state.record())
    yield server
    await server.stop(0)


def verdicts(scanning: Scanning, scan_id: str) -> dict[str, tuple[bool, int, int]]:
    place = scan_place(scanning.place.settings.data_dir, scan_id)
    rows, _ = page_of(place, pb.ListVerdictsRequest(page_size=1000))
    return {row.path: (bool(row.accepted), row.reason, row.step) for row in rows}
