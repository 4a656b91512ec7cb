"""The process of the fine-tune service: what it is made of, in which order it begins and ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping

import uvloop

from services.cluster import log as cluster_log
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.datasets import Datasets as DatasetRecords
from services.cluster.devices.assignments import Devices
from services.cluster.devices.rooms import Rooms
from services.cluster.errors import HearthError
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind
from services.cluster.jobs.sweeper import Sweeper
from services.cluster.membership import membership
from services.cluster.pb.v1 import finetune_pb2_grpc
from services.cluster.projects import Projects
from services.cluster.registry import Registry
from services.cluster.rpc import RpcServer
from services.cluster.runs import Runs
from services.cluster.settings import load
from services.cluster.store.connection import Store
from services.cluster.tasks import end
from services.finetune.bases import Bases
from services.finetune.checkpoints import Checkpoints
from services.finetune.datasets import Datasets
from services.finetune.evaluation.evaluator import Evaluator
from services.finetune.plan import Planner
from services.finetune.publishing import Publishing
from services.finetune.requests import RunRequests
from services.finetune.run_files import RunFiles
from services.finetune.servicer import FinetuneServicer
from services.finetune.settings import FinetuneSettings
from services.finetune.worker import run_worker
from services.finetune.workshop import Workshop

log = logging.getLogger(__name__)

SERVICE = "finetune"


class FinetuneProcess:
    """`environment` is what trainers inherit."""

    def __init__(self, settings: FinetuneSettings, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises StoreUnavailable when Redis is away at the start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        store = await Store.connect(self._settings.redis_url)
        try:
            await self._serve(store)
        finally:
            await store.close()

    async def _serve(self, store: Store) -> None:
        settings = self._settings
        registry, devices, runs = Registry(store), Devices(store), Runs(store)
        queue = JobQueue(store, settings.run_lease_seconds)
        artifacts, files = ArtifactStore(settings.data_dir), RunFiles(settings.data_dir)
        bases, datasets = Bases(registry, settings.host_id, settings.data_dir), Datasets(artifacts)
        checkpoints = Checkpoints(artifacts)
        publishing = Publishing(artifacts, checkpoints, registry, runs)
        evaluator = Evaluator(registry, settings)
        workshop = Workshop(
            settings,
            self._environment,
            artifacts.fences,
            devices,
            Rooms(store),
            registry,
            runs,
            bases,
            datasets,
            checkpoints,
            publishing,
            evaluator,
            files,
        )
        worker = run_worker(queue, workshop, f"{SERVICE}/{settings.host_id}/{os.getpid()}")
        planner = Planner(
            bases, datasets, DatasetRecords(store), Projects(store), devices, settings.host_id
        )
        requests = RunRequests(queue, runs, planner, checkpoints, publishing)
        server = RpcServer(settings)
        server.add(
            "hearth.v1.Finetune",
            finetune_pb2_grpc.add_FinetuneServicer_to_server,
            FinetuneServicer(requests, planner, runs, files, artifacts),
        )
        sweeper = Sweeper(queue, JobKind.RUN)
        async with membership(SERVICE, settings, registry, server) as member:
            working = asyncio.create_task(worker.run(), name="worker")
            sweeping = asyncio.create_task(sweeper.run(), name="sweeper")
            await member.ready()
            log.info("finetune ready", extra={"address": member.record.address})
            await self._until_stopped(working)
            await server.set_serving(False)
            worker.stop()
            await working
            await end(sweeping)

    async def _until_stopped(self, working: asyncio.Task[None]) -> None:
        """Or until the worker ends with a fault, which is raised."""
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()


def main() -> int:
    settings = load(FinetuneSettings)
    cluster_log.configure(SERVICE, settings)
    try:
        uvloop.run(FinetuneProcess(settings, os.environ).run())
    except HearthError as error:
        log.error("finetune ends", extra={"reason": error.message})
        return 1
    return 0
