"""The Inference service: translate, call, translate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from services.cluster.devices.assignments import Devices
from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.pb.v1 import inference_pb2_grpc as rpc
from services.cluster.records import DeploymentRecord, ModelRecord
from services.cluster.registry import Registry
from services.cluster.registry_cache import RegistryCache
from services.inference.agent.catalogue import Catalogue
from services.inference.agent.deployments import Deployments
from services.inference.agent.messages import (
    deployment_message,
    deployment_record,
    deployments_message,
    devices_message,
    model_message,
    model_overrides,
    plan_message,
    progress_message,
    weights_message,
)
from services.inference.agent.replica_logs import ReplicaLogs
from services.inference.models.names import check_model_name
from services.inference.weights.model_weights import ModelWeights

_PAGE_SIZE = 100
_MAX_PAGE_SIZE = 1000


class InferenceServicer(rpc.InferenceServicer):
    def __init__(
        self,
        registry: Registry,
        cache: RegistryCache,
        devices: Devices,
        catalogue: Catalogue,
        deployments: Deployments,
        logs: ReplicaLogs,
        weights: ModelWeights,
    ) -> None:
        self._logs = logs
        self._registry = registry
        self._cache = cache
        self._devices = devices
        self._catalogue = catalogue
        self._deployments = deployments
        self._weights = weights

    async def ListModels(
        self, request: pb.ListModelsRequest, context: object
    ) -> pb.ListModelsResponse:
        models = await self._catalogue.models()
        start, end = _page(request.page_size, request.page_token)
        return pb.ListModelsResponse(
            models=[await self._model(record) for record in models[start:end]],
            next_page_token=str(end) if end < len(models) else "",
        )

    async def AddModel(self, request: pb.AddModelRequest, context: object) -> pb.Model:
        origin = request.WhichOneof("origin")
        if origin is None:
            raise BadRequest(
                "Name the model by hub_id, or its folder on the agent's host by local_path.",
                param="hub_id",
            )
        overrides = model_overrides(request.overrides)
        if origin == "local_path":
            added = await self._catalogue.add(request.name, request.local_path, overrides)
        else:
            name = request.name or request.hub_id
            check_model_name(name, "name" if request.name else "hub_id")
            added = await self._weights.hub_models.add(
                name, request.hub_id, request.revision, overrides
            )
        return await self._model(added)

    async def RemoveModel(
        self, request: pb.RemoveModelRequest, context: object
    ) -> pb.RemoveModelResponse:
        await self._weights.kept.remove(request.name)
        return pb.RemoveModelResponse()

    async def DownloadWeights(
        self, request: pb.DownloadWeightsRequest, context: object
    ) -> AsyncIterator[pb.WeightsProgress]:
        async with aclosing(self._weights.download(request.model)) as statuses:
            async for model, status in statuses:
                yield progress_message(model, status)

    async def CancelDownload(
        self, request: pb.CancelDownloadRequest, context: object
    ) -> pb.CancelDownloadResponse:
        await self._weights.downloads.cancel(await self._weights.kept.model(request.model))
        return pb.CancelDownloadResponse()

    async def UploadWeights(
        self, requests: AsyncIterator[pb.UploadWeightsRequest], context: object
    ) -> pb.Weights:
        first = await anext(aiter(requests), None)
        if first is None or first.WhichOneof("part") != "model":
            raise BadRequest("The first message names the model.", param="model")
        check_model_name(first.model, "model")
        record = await self._weights.uploads.take(
            first.model, _chunks(requests), model_overrides(first.overrides)
        )
        return weights_message(record, await self._weights.kept.status(record))

    async def DeleteWeights(
        self, request: pb.DeleteWeightsRequest, context: object
    ) -> pb.DeleteWeightsResponse:
        freed = await self._weights.kept.delete(request.model)
        return pb.DeleteWeightsResponse(freed_bytes=freed)

    async def PutDeployment(
        self, request: pb.PutDeploymentRequest, context: object
    ) -> pb.Deployment:
        wanted = deployment_record(request.deployment)
        if request.HasField("changes"):
            changed = await self._deployments.change(wanted, request.changes.paths)
            return self._shown(changed)
        return self._shown(await self._deployments.put(wanted))

    async def DeleteDeployment(
        self, request: pb.DeleteDeploymentRequest, context: object
    ) -> pb.DeleteDeploymentResponse:
        await self._deployments.delete(request.deployment_id)
        return pb.DeleteDeploymentResponse()

    async def RestartDeployment(
        self, request: pb.RestartDeploymentRequest, context: object
    ) -> pb.Deployment:
        return self._shown(await self._deployments.restart(request.deployment_id))

    async def ListDeployments(
        self, request: pb.ListDeploymentsRequest, context: object
    ) -> pb.ListDeploymentsResponse:
        return deployments_message(await self._registry.view())

    async def WatchDeployments(
        self, request: pb.WatchDeploymentsRequest, context: object
    ) -> AsyncIterator[pb.ListDeploymentsResponse]:
        sent = None
        while True:
            newest = deployments_message(self._cache.view)
            if newest == sent:
                await self._cache.changed()
            else:
                yield newest
                sent = newest

    async def AddDeploymentAdapter(
        self, request: pb.DeploymentAdapterRequest, context: object
    ) -> pb.Deployment:
        return self._shown(
            await self._deployments.add_adapter(
                request.deployment_id, request.adapter_id, request.wait_seconds
            )
        )

    async def RemoveDeploymentAdapter(
        self, request: pb.DeploymentAdapterRequest, context: object
    ) -> pb.Deployment:
        return self._shown(
            await self._deployments.remove_adapter(
                request.deployment_id, request.adapter_id, request.wait_seconds
            )
        )

    async def PlanDeployment(
        self, request: pb.PlanDeploymentRequest, context: object
    ) -> pb.DeploymentPlan:
        return plan_message(await self._deployments.plan(deployment_record(request.deployment)))

    async def ReadReplicaLog(
        self, request: pb.ReadReplicaLogRequest, context: object
    ) -> AsyncIterator[pb.ReplicaLogLines]:
        reading = self._logs.read(
            request.replica_id, request.num_lines, follow=request.follow, printed=request.printed
        )
        async with aclosing(reading) as parts:
            async for lines in parts:
                yield pb.ReplicaLogLines(lines=lines)

    async def ListDevices(
        self, request: pb.ListDevicesRequest, context: object
    ) -> pb.ListDevicesResponse:
        return devices_message(await self._devices.snapshot())

    def _shown(self, record: DeploymentRecord) -> pb.Deployment:
        return deployment_message(record, self._cache.view)

    async def _model(self, record: ModelRecord) -> pb.Model:
        return model_message(record, await self._weights.kept.status(record))


async def _chunks(requests: AsyncIterator[pb.UploadWeightsRequest]) -> AsyncIterator[bytes]:
    async for request in requests:
        if request.WhichOneof("part") != "chunk":
            raise BadRequest("After the first message come chunks.")
        yield request.chunk


def _page(size: int, token: str) -> tuple[int, int]:
    """First and last index. Raises BadRequest."""
    if size < 0:
        raise BadRequest("page_size must not be negative.", param="page_size")
    if token and not (token.isascii() and token.isdigit()):
        raise BadRequest("page_token must come from the answer before.", param="page_token")
    start = int(token or 0)
    return start, start + min(size or _PAGE_SIZE, _MAX_PAGE_SIZE)
