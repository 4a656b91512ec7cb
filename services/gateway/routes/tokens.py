"""/api/v1/tokens: everybody makes and revokes their own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from services.cluster.errors import NotFound, PermissionDenied
from services.cluster.identity import Scope
from services.gateway.auth import SIGNED_IN, Caller
from services.gateway.request_body import Body, StrictRoute
from services.gateway.state import state_of
from services.gateway.views import CreatedToken, TokenView

router = APIRouter(prefix="/api/v1/tokens", tags=["tokens"], route_class=StrictRoute)
Owner = Annotated[Caller, Depends(SIGNED_IN)]


class NewToken(Body):
    """`expires_at` in unix seconds, 0 for never."""

    name: str = Field(min_length=1, max_length=100)
    scopes: list[Annotated[Scope, Field(strict=False)]] = Field([Scope.COMPLETIONS], min_length=1)
    expires_at: float = Field(0, ge=0, allow_inf_nan=False)


@router.get("")
async def list_tokens(request: Request, caller: Owner) -> list[TokenView]:
    """The caller's own, newest first."""
    records = await state_of(request).identity.list_tokens(caller.user_id)
    return [TokenView.of(record) for record in records]


@router.post("", status_code=201)
async def create_token(request: Request, body: NewToken, caller: Owner) -> CreatedToken:
    """The only time that the token itself is shown."""
    if missing := set(body.scopes) - caller.scopes:
        raise PermissionDenied(
            f"You do not have the scope {', '.join(sorted(missing))}, so your token can not."
        )
    state = state_of(request)
    text, record = await state.identity.create_token(
        caller.user_id, body.name, frozenset(body.scopes), body.expires_at
    )
    await state.tokens.refresh(record.token_id)
    return CreatedToken(**TokenView.of(record).model_dump(), token=text)


@router.delete("/{token_id}", status_code=204)
async def revoke_token(request: Request, token_id: str, caller: Owner) -> None:
    """Refused everywhere within a second."""
    state = state_of(request)
    mine = {record.token_id for record in await state.identity.list_tokens(caller.user_id)}
    if token_id not in mine:
        raise NotFound(f"You have no token {token_id[:100]}.")
    await state.identity.revoke_token(token_id)
    await state.tokens.refresh(token_id)
