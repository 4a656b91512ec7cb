"""/api/v1/models: models that are added, and their weights: downloaded, uploaded, deleted."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import inference_pb2 as pb
from services.gateway.auth import ADMIN, Caller
from services.gateway.event_stream import EventStream, described, follow
from services.gateway.live_answer import event
from services.gateway.model_views import (
    DeletedWeights,
    DownloadEvents,
    DownloadView,
    ListedModelView,
    ModelOverridesView,
    NewModel,
    WeightsView,
)
from services.gateway.proto_values import values_of
from services.gateway.request_body import StrictRoute
from services.gateway.state import GatewayState, state_of
from services.gateway.upload_body import FILE_BODY, BodySha256, chunks
from services.gateway.upstream.calls import answered, lost, streamed
from services.gateway.upstream.uploads import sent

router = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=StrictRoute)
Administrator = Annotated[Caller, Depends(ADMIN)]

UPLOAD_PATH = r"/api/v1/models/.+/weights/?"
_ADD_SECONDS = 300.0  # tokenizers and the headers of many files come from the hub
_DELETE_SECONDS = 300.0


@router.post("", status_code=201)
async def add_model(request: Request, body: NewModel, caller: Administrator) -> ListedModelView:
    """Judged by its small files; the weights of a hub's model come with a download."""
    agent = await state_of(request).services.agent()
    added = await answered(agent.AddModel(body.message()), _ADD_SECONDS)
    return ListedModelView.of_message(added)


@router.post("/{name:path}/download", status_code=202)
async def start_download(request: Request, name: str, caller: Administrator) -> DownloadView:
    """Goes on from what is there; one that is open is answered as it is."""
    agent = await state_of(request).services.agent()
    call = agent.DownloadWeights(pb.DownloadWeightsRequest(model=name))
    async with aclosing(streamed(call)) as messages:
        async for message in messages:
            return DownloadView.of(message)
    raise lost()


@router.post("/{name:path}/download/cancel", status_code=204)
async def cancel_download(request: Request, name: str, caller: Administrator) -> None:
    """What has come is kept for the next download; DELETE of the weights frees it."""
    agent = await state_of(request).services.agent()
    await answered(agent.CancelDownload(pb.CancelDownloadRequest(model=name)))


@router.get(
    "/{name:path}/download/events",
    response_class=EventStream,
    responses=described(DownloadEvents),
)
async def follow_download(request: Request, name: str, caller: Administrator) -> Response:
    """Starts the download too if none is open; ends when the weights are whole."""
    return follow(request, lambda: _events(state_of(request), name))


async def _events(state: GatewayState, name: str) -> AsyncGenerator[bytes]:
    agent = await state.services.agent()
    call = agent.DownloadWeights(pb.DownloadWeightsRequest(model=name))
    async with aclosing(streamed(call)) as messages:
        async for message in messages:
            yield event(DownloadEvents.data_of("progress", values_of(message)), "progress")


@router.post("/{name:path}/weights", status_code=201, openapi_extra=FILE_BODY)
async def upload_weights(
    request: Request,
    name: str,
    caller: Administrator,
    overrides: Annotated[ModelOverridesView, Query()],
    x_content_sha256: BodySha256 = "",
) -> WeightsView:
    """The body is a zip or tar of a model's folder. The model is added, or gets these weights."""
    agent = await state_of(request).services.agent()
    first = pb.UploadWeightsRequest(model=name, overrides=overrides.overrides())
    parts = _parts(first, request, x_content_sha256.lower())
    weights = await sent(agent.UploadWeights, parts)
    return WeightsView.of(weights)


async def _parts(
    first: pb.UploadWeightsRequest, request: Request, sha256: str
) -> AsyncGenerator[pb.UploadWeightsRequest]:
    yield first
    found = hashlib.sha256()
    async for chunk in chunks(request):
        found.update(chunk)
        yield pb.UploadWeightsRequest(chunk=chunk)
    if sha256 and sha256 != found.hexdigest():
        raise BadRequest("The bytes do not match X-Content-SHA256; nothing was kept.")


@router.delete("/{name:path}/weights")
async def delete_weights(request: Request, name: str, caller: Administrator) -> DeletedWeights:
    """The model stays in the catalogue. Refused while something uses it."""
    agent = await state_of(request).services.agent()
    wanted = pb.DeleteWeightsRequest(model=name)
    return DeletedWeights.of(await answered(agent.DeleteWeights(wanted), _DELETE_SECONDS))


@router.delete("/{name:path}", status_code=204)
async def remove_model(request: Request, name: str, caller: Administrator) -> None:
    """With the weights that Hearth keeps of it; a local folder stays."""
    agent = await state_of(request).services.agent()
    await answered(agent.RemoveModel(pb.RemoveModelRequest(name=name)), _DELETE_SECONDS)
