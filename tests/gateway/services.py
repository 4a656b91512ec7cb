"""Services behind a gateway: the real data scan, and doubles that keep what they were asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from services.cluster.artifacts.store import ArtifactStore
from services.cluster.datasets import Datasets
from services.cluster.errors import HearthError, NotFound
from services.cluster.jobs.queue import JobQueue
from services.cluster.pb.v1 import datascan_pb2 as scan_pb
from services.cluster.pb.v1 import datascan_pb2_grpc, finetune_pb2_grpc, inference_pb2_grpc
from services.cluster.pb.v1 import finetune_pb2 as run_pb
from services.cluster.projects import Projects
from services.cluster.records import ProcessRecord
from services.cluster.registry import Registry
from services.cluster.rpc import RpcServer
from services.cluster.settings import ClusterSettings
from services.cluster.sources import Sources
from services.cluster.store.connection import Store
from services.cluster.tasks import end
from services.datascan.project_changes import ProjectChanges
from services.datascan.replicas import Replicas
from services.datascan.scan_attempt import Workplace
from services.datascan.scan_worker import scan_worker
from services.datascan.scans import Scans
from services.datascan.servicer import DatascanServicer
from services.datascan.settings import DatascanSettings
from services.datascan.uploads import Uploads
from tests.gateway.conftest import Gateway

_REGISTER: dict[str, tuple[str, Any]] = {
    "datascan": ("hearth.v1.Datascan", datascan_pb2_grpc.add_DatascanServicer_to_server),
    "inference": ("hearth.v1.Inference", inference_pb2_grpc.add_InferenceServicer_to_server),
    "finetune": ("hearth.v1.Finetune", finetune_pb2_grpc.add_FinetuneServicer_to_server),
}


@asynccontextmanager
async def behind(gateway: Gateway, service: str, servicer: Any) -> AsyncIterator[RpcServer]:
    """The servicer over real RPC, in the registry like a process of the service."""
    server = RpcServer(gateway.state.settings)
    name, register = _REGISTER[service]
    server.add(name, register, servicer)
    record = ProcessRecord(
        process_id=f"{service}-1",
        service=service,
        host_id="here",
        address=await server.start(),
        status="ready",
        started_at=time.time(),
    )
    await gateway.state.registry.put_process(record)
    await gateway.state.cache.refresh()
    yield server
    await server.stop(0)


@dataclass
class RealDatascan:
    servicer: DatascanServicer
    place: Workplace

    @property
    def drafts(self) -> list[str]:
        folder = self.place.artifacts.root / "drafts"
        return [path.name for path in folder.iterdir()] if folder.exists() else []

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        task = asyncio.create_task(scan_worker(self.place, "w1").run())
        try:
            yield
        finally:
            await end(task)


def real_datascan(
    gateway: Gateway, store: Store, settings: ClusterSettings, **limits: Any
) -> RealDatascan:
    own = DatascanSettings(
        redis_url=settings.redis_url,
        data_dir=settings.data_dir,
        cluster_key=settings.cluster_key,
        scan_delay_seconds=0,
        **limits,
    )
    place = Workplace(
        settings=own,
        jobs=JobQueue(store),
        projects=Projects(store),
        sources=Sources(store, 0),
        datasets=Datasets(store),
        artifacts=ArtifactStore(settings.data_dir),
        replicas=Replicas(gateway.state.cache, own),
    )
    scans = Scans(place.jobs, place.projects, place.sources)
    uploads = Uploads(own, place.projects, place.sources, place.artifacts)
    changes = ProjectChanges(place, Registry(store), scans)
    return RealDatascan(DatascanServicer(place, changes, uploads, scans), place)


@dataclass
class Watch:
    """A stream that a double answers: what it tells next, and whether it was given up."""

    request: Any
    refusal: HearthError | None = None
    events: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def told(self, opening: Any) -> AsyncIterator[Any]:
        """`opening` unless it is refused, then events until a None; an error is raised."""
        try:
            if self.refusal is not None:
                raise self.refusal
            yield opening
            while (event := await self.events.get()) is not None:
                if isinstance(event, HearthError):
                    raise event
                yield event
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class Watches:
    """Streams in the order in which they were asked for; a `refusal` is what all of them get."""

    def __init__(self) -> None:
        self.refusal: HearthError | None = None
        self._opened: asyncio.Queue[Watch] = asyncio.Queue()

    def open(self, request: Any) -> Watch:
        watch = Watch(request, self.refusal)
        self._opened.put_nowait(watch)
        return watch

    async def next(self) -> Watch:
        async with asyncio.timeout(10):
            return await self._opened.get()


class Double:
    """Answers a unary RPC with what `answers` has for its name, which may be an error."""

    def __init__(self) -> None:
        self.watches = Watches()
        self.requests: list[Any] = []
        self.answers: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Callable[[Any, object], Any]:
        async def answer(request: Any, context: object) -> Any:
            self.requests.append(request)
            found = self.answers.get(name, NotFound(f"There is no answer of {name}."))
            if isinstance(found, HearthError):
                raise found
            return found

        return answer


class DatascanDouble(Double):
    """Takes nothing of an upload before `take_all`; `taken_bytes` is what it has got."""

    def __init__(self) -> None:
        super().__init__()
        self._takes = asyncio.Event()
        self.taken_bytes = 0
        self.begun = asyncio.Event()
        self.given_up = asyncio.Event()

    def take_all(self) -> None:
        self._takes.set()

    async def UploadSource(
        self, requests: AsyncIterator[scan_pb.UploadSourceRequest], context: object
    ) -> scan_pb.Source:
        self.begun.set()
        missing_bytes = 0
        async for request in requests:
            if request.HasField("header"):
                missing_bytes = request.header.total_bytes
            else:
                await self._takes.wait()
                self.taken_bytes += len(request.chunk)
                missing_bytes -= len(request.chunk)
        if missing_bytes > 0:
            await self._cancellation()
        return scan_pb.Source(
            source_id="s1",
            kind=scan_pb.SOURCE_KIND_FILE,
            phase=scan_pb.SOURCE_PHASE_READY,
            spec=scan_pb.SourceSpec(name="x", split=scan_pb.SOURCE_SPLIT_AUTO),
        )

    async def _cancellation(self) -> None:
        """grpc.aio ends a stream that broke off like a whole one, and cancels at the next wait."""
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up.set()

    async def WatchSources(
        self, request: scan_pb.WatchSourcesRequest, context: object
    ) -> AsyncIterator[scan_pb.SourceEvent]:
        async for event in self.watches.open(request).told(scan_pb.SourceEvent()):
            yield event

    async def WatchScan(
        self, request: scan_pb.WatchScanRequest, context: object
    ) -> AsyncIterator[scan_pb.ScanEvent]:
        async for event in self.watches.open(request).told(scan_pb.ScanEvent()):
            yield event


class FinetuneDouble(Double):
    async def WatchRun(
        self, request: run_pb.WatchRunRequest, context: object
    ) -> AsyncIterator[run_pb.RunEvent]:
        async for event in self.watches.open(request).told(run_pb.RunEvent()):
            yield event
