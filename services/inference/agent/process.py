"""The process of an inference agent: what it is made of, in which order it begins and ends."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Coroutine, Iterator, Mapping
from functools import partial
from typing import Any

import uvloop

from services.cluster import log as cluster_log
from services.cluster.artifacts.servicer import ArtifactsServicer
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.devices.assignments import Devices
from services.cluster.devices.fingerprint import fingerprints
from services.cluster.devices.rooms import Rooms
from services.cluster.errors import BadRequest, HearthError, Unavailable
from services.cluster.jobs.queue import JobQueue
from services.cluster.membership import membership
from services.cluster.pb.v1 import artifacts_pb2_grpc, inference_pb2_grpc
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.cluster.registry_cache import RegistryCache
from services.cluster.rpc import RpcServer
from services.cluster.settings import load
from services.cluster.store.connection import Store
from services.cluster.tasks import end
from services.inference.agent.catalogue import Catalogue
from services.inference.agent.deployments import Deployments
from services.inference.agent.device_reports import DeviceReports
from services.inference.agent.phase_writer import PhaseWriter
from services.inference.agent.quarantines import Quarantines, clear_predecessor
from services.inference.agent.replica_logs import ReplicaLogs
from services.inference.agent.restarts import CANNOT_WORK
from services.inference.agent.run_yields import RunYields
from services.inference.agent.servicer import InferenceServicer
from services.inference.agent.supervisor import Supervisor
from services.inference.models.catalogue import load_catalogue
from services.inference.settings import InferenceSettings
from services.inference.weights.model_weights import model_weights

log = logging.getLogger(__name__)

SERVICE = "inference"


class Agent:
    """`environment` is what its replicas inherit, `known` the catalogue by name."""

    def __init__(
        self,
        settings: InferenceSettings,
        environment: Mapping[str, str],
        known: Mapping[str, ModelRecord],
    ) -> None:
        self._known = known
        self._settings = settings
        self._environment = environment
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises BadRequest for what can never work."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        check_cluster_key(self._settings)
        with only_agent(self._settings):
            store = await Store.connect(self._settings.redis_url)
            try:
                await self._serve(store)
            finally:
                await store.close()

    async def _serve(self, store: Store) -> None:
        settings = self._settings
        registry, devices = Registry(store), Devices(store)
        seen = fingerprints(settings)
        reports = DeviceReports(devices, registry, settings.host_id, seen, Quarantines(devices))
        cache = RegistryCache(registry)
        catalogue = Catalogue(registry, settings.host_id, known=self._known)
        deployments = Deployments(registry, cache, devices, settings, self._known)
        holder = f"{SERVICE}/{settings.host_id}/{os.getpid()}"
        weights = model_weights(store, registry, settings, holder, self._known)
        logs = ReplicaLogs(settings.data_dir / "logs", settings.host_id)
        server = rpc_server(
            settings,
            InferenceServicer(registry, cache, devices, catalogue, deployments, logs, weights),
        )
        await forget_predecessor(registry, settings.host_id)
        await clear_predecessor(devices, settings.host_id, seen)
        await reports.look(time.monotonic())
        await cache.start()
        try:
            targets = partial(replica_targets, cache)
            async with membership(SERVICE, settings, registry, server, targets) as member:
                await cache.refresh()
                phases = PhaseWriter(registry, member.record.process_id)
                supervisor = Supervisor(
                    registry,
                    cache,
                    devices,
                    Rooms(store),
                    RunYields(devices, JobQueue(store)),
                    phases,
                    settings,
                    self._environment,
                    catalogue.absences,
                    weights.downloads,
                )
                await catalogue.register_starter()
                if settings.starter and await deployments.ensure_first():
                    log.info("the starter model is deployed: this cluster is new")
                try:
                    await supervisor.start()
                    await member.ready()
                    log.info("agent ready", extra={"address": member.record.address})
                    await self._until_stopped(
                        reports.run(), catalogue.await_starter(), weights.run()
                    )
                finally:
                    await server.set_serving(False)
                    await supervisor.stop()
        finally:
            await weights.close()
            await cache.close()

    async def _until_stopped(self, *work: Coroutine[None, None, None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(coroutine) for coroutine in work]
            await self._stop.wait()
            for task in running:
                await end(task)


def rpc_server(settings: InferenceSettings, inference: InferenceServicer) -> RpcServer:
    server = RpcServer(settings)
    server.add("hearth.v1.Inference", inference_pb2_grpc.add_InferenceServicer_to_server, inference)
    server.add(
        "hearth.v1.Artifacts",
        artifacts_pb2_grpc.add_ArtifactsServicer_to_server,
        ArtifactsServicer(ArtifactStore(settings.data_dir)),
    )
    return server


def replica_targets(cache: RegistryCache) -> list[dict[str, Any]]:
    """Where Prometheus reads the cluster's replicas."""
    return [
        {
            "targets": [replica.metrics_address],
            "labels": {
                "deployment": replica.deployment_id,
                "host": replica.host_id,
                "model": replica.model,
                "replica": replica.replica_id,
            },
        }
        for replica in cache.view.replicas.values()
        if replica.metrics_address
    ]


async def forget_predecessor(registry: Registry, host_id: str) -> None:
    """What this host's last agent left when it was killed. Its replicas ended with it."""
    view = await registry.view()
    for replica in view.replicas.values():
        if replica.host_id == host_id:
            await registry.remove_replica(replica.replica_id)
    for process in view.processes.values():
        if (process.service, process.host_id) == (SERVICE, host_id):
            await registry.remove_process(process.process_id)


@contextlib.contextmanager
def only_agent(settings: InferenceSettings) -> Iterator[None]:
    """Two agents of one host would start the same replicas. Raises Unavailable."""
    name = re.sub(r"[^\w.-]", "_", settings.host_id)
    with (settings.data_dir / f"agent-{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                f"An inference agent of host {settings.host_id} runs already on"
                f" {settings.data_dir}; another host needs a HEARTH_HOST_ID of its own."
            ) from None
        yield


def check_cluster_key(settings: InferenceSettings) -> None:
    """Raises BadRequest when there is none."""
    try:
        key = settings.key
    except OSError:
        key = ""
    if not key:
        raise BadRequest(
            "There is no cluster key: set HEARTH_CLUSTER_KEY, or HEARTH_DATA_DIR to the data"
            " volume whose cluster.key the launcher has made."
        )


def main() -> int:
    settings = load(InferenceSettings)
    try:
        cluster_log.configure(SERVICE, settings)
        uvloop.run(Agent(settings, os.environ, load_catalogue()).run())
    except HearthError as error:
        log.error("agent ends", extra={"reason": error.message})
        return CANNOT_WORK if isinstance(error, BadRequest) else 1
    except PermissionError as error:
        print(f"HEARTH_DATA_DIR cannot be used: {error}", file=sys.stderr)  # noqa: T201
        return CANNOT_WORK
    return 0
