"""/api/v1/adapters: published LoRAs, also those that were trained elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Depends
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from services.cluster.errors import BadRequest, Conflict, NotFound
from services.cluster.pb.v1 import artifacts_pb2 as pb
from services.cluster.records import AdapterRecord
from services.gateway.auth import ADMIN, Caller
from services.gateway.routing import AUTO
from services.gateway.state import state_of
from services.gateway.views import AdapterView

router = APIRouter(prefix="/api/v1/adapters", tags=["adapters"])
Administrator = Annotated[Caller, Depends(ADMIN)]

_CHUNK_BYTES = 1024 * 1024
_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_FILES = (_CONFIG, _WEIGHTS)
_MAX_FIELDS = 10
_MAX_CONFIG_BYTES = 1024 * 1024
_MAX_RANK = 512
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_UPLOAD = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["model", "name", *_FILES],
                "properties": {
                    "model": {"type": "string", "description": "The base it was trained on."},
                    "name": {"type": "string", "pattern": f"^{_NAME.pattern}$"},
                    **{path: {"type": "string", "format": "binary"} for path in _FILES},
                },
            }
        }
    },
}


@router.get("")
async def list_adapters(request: Request, caller: Administrator) -> list[AdapterView]:
    """Newest first. Read anew: who has seen a run end finds its adapters here."""
    view = await state_of(request).cache.refresh()
    newest_first = sorted(view.adapters.values(), key=lambda record: -record.created_at)
    return [AdapterView.of(record) for record in newest_first]


@router.post("", status_code=201, openapi_extra={"requestBody": _UPLOAD})
async def publish_adapter(request: Request, caller: Administrator) -> AdapterView:
    """A LoRA as peft saves it: adapter_config.json and adapter_model.safetensors."""
    # Read here and not by FastAPI, which would take in the upload of somebody who may not.
    async with request.form(max_files=len(_FILES), max_fields=_MAX_FIELDS) as form:
        files = {path: _file(form, path) for path in _FILES}
        return await _publish(request, caller, _text(form, "model"), _text(form, "name"), files)


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"The form needs the field {name}.", param=name)
    return value


def _file(form: FormData, name: str) -> BinaryIO:
    value = form.get(name)
    if not isinstance(value, UploadFile):
        raise BadRequest(f"The form needs the file {name}.", param=name)
    return value.file


async def _publish(
    request: Request, caller: Caller, model: str, name: str, files: Mapping[str, BinaryIO]
) -> AdapterView:
    state = state_of(request)
    if model not in state.view.models:
        known = ", ".join(state.view.models) or "none yet"
        raise BadRequest(f"There is no model {model[:200]!r}; there is {known}.", param="model")
    if not _NAME.fullmatch(name) or name == AUTO:
        raise BadRequest(
            f"{name[:100]!r} is no adapter name: 1 to 64 letters, digits, dots, dashes and"
            f" underscores, beginning with a letter or digit, and not {AUTO}.",
            param="name",
        )
    rank = rank_of(files[_CONFIG].read(_MAX_CONFIG_BYTES))
    record = AdapterRecord(
        adapter_id=f"{name}-{secrets.token_hex(3)}",
        model=model,
        name=name,
        team_id=caller.team_id,
        rank=rank,
        created_at=time.time(),
    )
    manifest = await asyncio.to_thread(_manifest, record, files)
    await state.services.put_artifact(_parts(manifest, files))
    await state.registry.put_adapter(record)
    await state.cache.refresh()
    return AdapterView.of(record)


@router.delete("/{adapter_id}", status_code=204)
async def withdraw_adapter(request: Request, adapter_id: str, caller: Administrator) -> None:
    """Its record, then its files. Refused while a deployment keeps it loaded."""
    state = state_of(request)
    view = await state.cache.refresh()
    for deployment in view.deployments.values():
        if adapter_id in deployment.adapter_ids:
            raise Conflict(
                f"The deployment {deployment.deployment_id} keeps {adapter_id} loaded;"
                " take it out there first."
            )
    if not await state.registry.delete_adapter(adapter_id):
        raise NotFound(f"There is no adapter {adapter_id[:100]}.")
    await state.cache.refresh()
    await state.services.delete_artifact(pb.ARTIFACT_KIND_ADAPTER, adapter_id)


def rank_of(config_json: bytes) -> int:
    """Raises BadRequest for what is no LoRA's adapter_config.json."""
    try:
        config: Any = json.loads(config_json)
    except (ValueError, RecursionError):
        raise BadRequest(f"{_CONFIG} is not JSON.", param=_CONFIG) from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise BadRequest(f"{_CONFIG} must be peft's, of type LORA.", param=_CONFIG)
    rank = config.get("r")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= _MAX_RANK:
        raise BadRequest(f"{_CONFIG} must name the rank r, 1 to {_MAX_RANK}.", param=_CONFIG)
    return rank


def _manifest(record: AdapterRecord, files: Mapping[str, BinaryIO]) -> pb.ArtifactManifest:
    described = []
    for path, file in files.items():
        sha256 = hashlib.sha256()
        for data in _blocks(file):
            sha256.update(data)
        described.append(
            pb.ArtifactFile(path=path, size_bytes=file.tell(), sha256=sha256.hexdigest())
        )
    return pb.ArtifactManifest(
        schema_version=1,
        kind=pb.ARTIFACT_KIND_ADAPTER,
        artifact_id=record.adapter_id,
        team_id=record.team_id,
        project_id=record.project_id,
        files=described,
        labels={"model": record.model, "name": record.name},
    )


def _parts(
    manifest: pb.ArtifactManifest, files: Mapping[str, BinaryIO]
) -> Iterator[pb.PutArtifactRequest]:
    yield pb.PutArtifactRequest(manifest=manifest)
    for path, file in files.items():
        offset_bytes = 0
        for data in _blocks(file):
            chunk = pb.ArtifactChunk(path=path, offset_bytes=offset_bytes, data=data)
            yield pb.PutArtifactRequest(chunk=chunk)
            offset_bytes += len(data)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while data := file.read(_CHUNK_BYTES):
        yield data
