"""/api/v1/providers: servers elsewhere, their keys and models, and who may use them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field, SecretStr
from starlette.requests import Request

from services.cluster.errors import BadRequest, Conflict, HearthError, NotFound
from services.cluster.log import request_id_var
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.provider_records import ProviderRecord
from services.gateway.auth import ADMIN, Caller
from services.gateway.generation import context_of
from services.gateway.provider_views import (
    NewProvider,
    OfferedModelView,
    ProviderChanges,
    ProviderKindView,
    ProviderTestView,
    ProviderView,
    checked_address,
    checked_models,
)
from services.gateway.request_body import Body, StrictRoute, changes_in
from services.gateway.speakers import RemoteModel
from services.gateway.state import GatewayState, state_of

router = APIRouter(prefix="/api/v1/providers", tags=["providers"], route_class=StrictRoute)
Administrator = Annotated[Caller, Depends(ADMIN)]

_TEST_QUESTION = "Answer with the word ready."
_TEST_TOKENS = 16


class ProviderTest(Body):
    """`model`, by the provider's own name, is asked a question; "" asks for the models only."""

    model: str = Field("", max_length=200)


@router.get("")
async def list_providers(request: Request, caller: Administrator) -> list[ProviderView]:
    """Oldest first."""
    records = state_of(request).view.providers.values()
    return [ProviderView.of(r) for r in sorted(records, key=lambda r: (r.created_at, r.record_id))]


@router.get("/kinds")
async def list_kinds(caller: Administrator) -> list[ProviderKindView]:
    return ProviderKindView.all()


@router.post("", status_code=201)
async def create_provider(
    request: Request, body: NewProvider, caller: Administrator
) -> ProviderView:
    """Nothing is sent to it before it is enabled, but what a test sends."""
    state, now = state_of(request), time.time()
    record = ProviderRecord(
        provider_id=body.provider_id or body.kind.value,
        kind=body.kind,
        base_url=checked_address(body.kind, body.base_url),
        is_enabled=body.is_enabled,
        masks_secrets=body.masks_secrets,
        team_ids=tuple(body.team_ids),
        models=checked_models(body.models),
        created_at=now,
        updated_at=now,
        **_sealed(state, body.key),
    )
    await _audit(state, caller, "provider_added", record.provider_id, sorted(body.model_fields_set))
    if not await state.registry.add_provider(record):
        raise Conflict(
            f"There is a provider {record.provider_id} already; change it, or choose another"
            " provider_id."
        )
    await state.cache.refresh()
    return ProviderView.of(record)


@router.get("/{provider_id}")
async def get_provider(request: Request, provider_id: str, caller: Administrator) -> ProviderView:
    return ProviderView.of(_known(state_of(request), provider_id))


@router.patch("/{provider_id}")
async def change_provider(
    request: Request, provider_id: str, body: ProviderChanges, caller: Administrator
) -> ProviderView:
    state = state_of(request)
    fields = sorted(changes_in(body))
    await _audit(state, caller, "provider_changed", provider_id, fields)
    sealed = {} if body.key is None else _sealed(state, body.key)

    def change(record: ProviderRecord) -> ProviderRecord:
        return _changed(record, body, sealed)

    record = await state.registry.change_provider(provider_id, change)
    await state.cache.refresh()
    return ProviderView.of(record)


@router.delete("/{provider_id}", status_code=204)
async def delete_provider(request: Request, provider_id: str, caller: Administrator) -> None:
    """With its key. Answers that are open are finished."""
    state = state_of(request)
    await _audit(state, caller, "provider_deleted", provider_id)
    if not await state.registry.delete_provider(provider_id):
        raise _unknown(provider_id)
    await state.cache.refresh()


@router.post("/{provider_id}/test")
async def test_provider(
    request: Request, provider_id: str, body: ProviderTest, caller: Administrator
) -> ProviderTestView:
    """Asks it for its models, or one of them a question, whether or not it is enabled."""
    state = state_of(request)
    record = _known(state, provider_id)
    remote = _model_of(record, body.model) if body.model else None
    started = time.monotonic()
    result: dict[str, Any] = {}
    try:
        if remote is None:
            models = await state.speakers.providers.models(record)
            result["models"] = [OfferedModelView.model_validate(model) for model in models]
        else:
            result["answer"] = await _ask(state, remote, caller)
    except HearthError as error:
        result["problem"] = error.message
    return ProviderTestView(seconds=round(time.monotonic() - started, 3), **result)


async def _ask(state: GatewayState, remote: RemoteModel, caller: Caller) -> str:
    """The first words, or how many numbers an embedding of it has."""
    if remote.embedding_size:
        request = pb.EmbedRequest(context=context_of(caller), texts=[_TEST_QUESTION])
        (found,) = (await state.speakers.providers.embed(remote, request)).embeddings
        return f"{len(found.values)} numbers"
    prompt = pb.Prompt(text="def ready():\n    return ")
    if remote.supports_chat:
        message = pb.ChatMessage(role="user", content=_TEST_QUESTION)
        prompt = pb.Prompt(chat=pb.Chat(messages=[message]))
    elif not remote.record.supports_completion:
        cursor = pb.FillInTheMiddle(prefix="def ready():\n    return ", suffix="\n")
        prompt = pb.Prompt(fill_in_the_middle=cursor)
    sampling = pb.SamplingParameters(max_tokens=_TEST_TOKENS)
    question = pb.GenerateRequest(context=context_of(caller), prompt=prompt, sampling=sampling)
    async with aclosing(state.speakers.providers.generate(remote, question)) as messages:
        return "".join([message.text async for message in messages])


async def _audit(
    state: GatewayState, caller: Caller, event: str, provider_id: str, fields: Sequence[str] = ()
) -> None:
    """Who wanted it, before it is done; of what changes, the names only."""
    who = {"request_id": request_id_var.get(), "user_id": caller.user_id}
    await state.audit.write(event, **who, provider=provider_id, fields=list(fields))


def _changed(
    record: ProviderRecord, body: ProviderChanges, sealed: dict[str, Any]
) -> ProviderRecord:
    """Raises BadRequest for an address that the key was not given for."""
    changes = body.model_dump(exclude_none=True, exclude={"key", "base_url", "models"})
    if body.base_url is not None:
        changes["base_url"] = checked_address(record.kind, body.base_url)
        if changes["base_url"] != record.base_url and record.sealed_key and not sealed:
            raise BadRequest(
                "The key was given for another address: give it again with the new one, or give"
                ' "" to forget it.',
                param="key",
            )
    if body.models is not None:
        changes["models"] = checked_models(body.models)
    if body.team_ids is not None:
        changes["team_ids"] = tuple(body.team_ids)
    return record.model_copy(update={**changes, **sealed, "updated_at": time.time()})


def _sealed(state: GatewayState, key: SecretStr) -> dict[str, Any]:
    secret = key.get_secret_value()
    return {
        "sealed_key": state.sealer.seal(secret) if secret else "",
        "key_changed_at": time.time() if secret else 0.0,
    }


def _model_of(record: ProviderRecord, name: str) -> RemoteModel:
    for model in record.models:
        if model.name == name:
            return RemoteModel(record, model)
    raise NotFound(f"{record.provider_id} has no model {name[:200]!r}; add it to its models first.")


def _known(state: GatewayState, provider_id: str) -> ProviderRecord:
    record = state.view.providers.get(provider_id)
    if record is None:
        raise _unknown(provider_id)
    return record


def _unknown(provider_id: str) -> NotFound:
    return NotFound(f"There is no provider {provider_id[:100]}; GET /api/v1/providers lists them.")
