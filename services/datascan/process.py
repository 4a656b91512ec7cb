"""The process of the data scan: what it is made of, in which order it begins and ends."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import shutil
import signal
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path

import uvloop

from services.cluster import log as cluster_log
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.datasets import Datasets
from services.cluster.errors import BadRequest, HearthError, Unavailable
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind
from services.cluster.jobs.sweeper import Sweeper
from services.cluster.membership import membership
from services.cluster.pb.v1 import datascan_pb2_grpc
from services.cluster.projects import Projects
from services.cluster.registry import Registry
from services.cluster.registry_cache import RegistryCache
from services.cluster.rpc import RpcServer
from services.cluster.settings import load
from services.cluster.sources import Sources
from services.cluster.store.connection import Store
from services.cluster.tasks import end
from services.datascan.project_changes import ProjectChanges
from services.datascan.replicas import Replicas
from services.datascan.scan_attempt import Workplace
from services.datascan.scan_worker import scan_worker
from services.datascan.scans import Scans, ScanSchedule
from services.datascan.servicer import DatascanServicer
from services.datascan.settings import DatascanSettings
from services.datascan.uploads import Uploads

log = logging.getLogger(__name__)

SERVICE = "datascan"
_CANNOT_WORK = 2


class Datascan:
    def __init__(self, settings: DatascanSettings) -> None:
        self._settings = settings
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises BadRequest for what can never work."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        check_cluster_key(self._settings)
        with only_datascan(self._settings.data_dir):
            forget_drafts(self._settings.data_dir)
            store = await Store.connect(self._settings.redis_url, data_dir=self._settings.data_dir)
            try:
                await self._serve(store)
            finally:
                await store.close()

    async def _serve(self, store: Store) -> None:
        settings = self._settings
        registry = Registry(store)
        cache = RegistryCache(registry)
        place = Workplace(
            settings=settings,
            jobs=JobQueue(store, settings.scan_lease_seconds),
            projects=Projects(store),
            sources=Sources(store, settings.scan_delay_seconds),
            datasets=Datasets(store),
            artifacts=ArtifactStore(settings.data_dir),
            replicas=Replicas(cache, settings),
        )
        scans = Scans(place.jobs, place.projects, place.sources)
        server = RpcServer(settings)
        server.add(
            "hearth.v1.Datascan",
            datascan_pb2_grpc.add_DatascanServicer_to_server,
            DatascanServicer(
                place,
                ProjectChanges(place, registry, scans),
                Uploads(settings, place.projects, place.sources, place.artifacts),
                scans,
            ),
        )
        await cache.start()
        try:
            async with membership(SERVICE, settings, registry, server) as member:
                await member.ready()
                log.info("data scan ready", extra={"address": member.record.address})
                try:
                    await self._until_stopped(
                        scan_worker(place, member.record.process_id).run(),
                        Sweeper(place.jobs, JobKind.SCAN).run(),
                        ScanSchedule(scans, place.projects).run(),
                    )
                finally:
                    await server.set_serving(False)
        finally:
            await place.replicas.close()
            await cache.close()

    async def _until_stopped(self, *work: Coroutine[None, None, None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(coroutine) for coroutine in work]
            await self._stop.wait()
            for task in running:
                await end(task)


@contextlib.contextmanager
def only_datascan(data_dir: Path) -> Iterator[None]:
    """Two on one data volume would write the same verdicts. Raises Unavailable."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "datascan.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(f"A data scan runs already on {data_dir}.") from None
        yield


def forget_drafts(data_dir: Path) -> None:
    """What a data scan that was killed left half written; nobody else writes these kinds."""
    for kind in ("sources", "datasets"):
        for place in (data_dir / "drafts").glob(f"{kind}-*"):
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                place.unlink(missing_ok=True)


def check_cluster_key(settings: DatascanSettings) -> None:
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
    settings = load(DatascanSettings)
    try:
        cluster_log.configure(SERVICE, settings)
        uvloop.run(Datascan(settings).run())
    except HearthError as error:
        log.error("data scan ends", extra={"reason": error.message})
        return _CANNOT_WORK if isinstance(error, BadRequest) else 1
    except PermissionError as error:
        print(f"HEARTH_DATA_DIR cannot be used: {error}", file=sys.stderr)  # noqa: T201
        return _CANNOT_WORK
    return 0
