"""The services of the cluster, found in the registry and dialled over channels that stay open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import grpc.aio

from services.cluster.errors import Unavailable
from services.cluster.pb.v1 import artifacts_pb2 as artifacts
from services.cluster.pb.v1 import (
    artifacts_pb2_grpc,
    datascan_pb2_grpc,
    finetune_pb2_grpc,
    inference_pb2_grpc,
)
from services.cluster.records import ProcessRecord
from services.cluster.registry import ClusterView
from services.gateway.upstream.calls import answered
from services.gateway.upstream.channels import Channels
from services.gateway.upstream.uploads import in_threads, sent

_CONNECT_SECONDS = 1.5
_RETRY_SECONDS = 2.0


def ready_processes(view: ClusterView, service: str) -> list[ProcessRecord]:
    """The newest first: the record of one that was killed stays for some seconds."""
    found = [p for p in view.processes.values() if p.service == service and p.status == "ready"]
    return sorted(found, key=lambda process: -process.started_at)


class Services:
    """Every method raises Unavailable while no process of the service answers."""

    def __init__(self, channels: Channels, view: Callable[[], ClusterView]) -> None:
        self._channels = channels
        self._view = view

    async def agent(self) -> inference_pb2_grpc.InferenceAsyncStub:
        stub: inference_pb2_grpc.InferenceAsyncStub
        stub = inference_pb2_grpc.InferenceStub(await self._channel("inference"))
        return stub

    async def agents(self, host_id: str = "") -> list[inference_pb2_grpc.InferenceAsyncStub]:
        """Those that answer, the one of a host before the others."""
        processes = ready_processes(self._view(), "inference")
        found: list[inference_pb2_grpc.InferenceAsyncStub] = []
        for process in sorted(processes, key=lambda process: process.host_id != host_id):
            if await self._channels.connects(process.address, _CONNECT_SECONDS):
                found.append(inference_pb2_grpc.InferenceStub(self._channels.to(process.address)))
        if not found:
            raise _not_up("inference")
        return found

    async def datascan(self) -> datascan_pb2_grpc.DatascanAsyncStub:
        stub: datascan_pb2_grpc.DatascanAsyncStub
        stub = datascan_pb2_grpc.DatascanStub(await self._channel("datascan"))
        return stub

    async def finetune(self) -> finetune_pb2_grpc.FinetuneAsyncStub:
        stub: finetune_pb2_grpc.FinetuneAsyncStub
        stub = finetune_pb2_grpc.FinetuneStub(await self._channel("finetune"))
        return stub

    async def put_artifact(
        self, parts: Iterable[artifacts.PutArtifactRequest]
    ) -> artifacts.ArtifactManifest:
        """Stores an artifact with the agent. Raises what the agent raised."""
        stub = await self._artifacts()
        return await sent(stub.PutArtifact, in_threads(parts))

    async def delete_artifact(
        self, kind: artifacts.ArtifactKind.ValueType, artifact_id: str
    ) -> None:
        """At the agent. Raises what the agent raised."""
        request = artifacts.DeleteArtifactRequest(kind=kind, artifact_id=artifact_id)
        await answered((await self._artifacts()).DeleteArtifact(request))

    async def _artifacts(self) -> artifacts_pb2_grpc.ArtifactsAsyncStub:
        stub: artifacts_pb2_grpc.ArtifactsAsyncStub
        stub = artifacts_pb2_grpc.ArtifactsStub(await self._channel("inference"))
        return stub

    async def _channel(self, service: str) -> grpc.aio.Channel:
        deadline = time.monotonic() + _CONNECT_SECONDS
        for process in ready_processes(self._view(), service):
            seconds = deadline - time.monotonic()
            if seconds > 0 and await self._channels.connects(process.address, seconds):
                return self._channels.to(process.address)
        raise _not_up(service)


def _not_up(service: str) -> Unavailable:
    return Unavailable(
        f"The service {service} is not up; it may be starting.",
        retry_after_seconds=_RETRY_SECONDS,
    )
