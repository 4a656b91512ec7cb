"""/api/v1/session: a browser signs in with a link, and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field
from starlette.requests import Request

from services.cluster.errors import PermissionDenied, Unauthenticated
from services.cluster.identity import SESSION_SECONDS
from services.gateway.auth import ANYBODY, SIGNED_IN, Caller, refuse_other_sites, session_cookie
from services.gateway.public_address import is_secure, path_prefix
from services.gateway.request_body import Body, StrictRoute
from services.gateway.state import state_of
from services.gateway.views import SessionView

router = APIRouter(prefix="/api/v1/session", tags=["session"], route_class=StrictRoute)
SignedIn = Annotated[Caller, Depends(SIGNED_IN)]


class SignIn(Body):
    """`link` is what stands behind `#link=` in the address that was printed."""

    link: str = Field(min_length=1, max_length=200)


@router.post("")
async def sign_in(
    request: Request, body: SignIn, response: Response, caller: Annotated[Caller, Depends(ANYBODY)]
) -> SessionView:
    """Sets the session's cookie. A link works once."""
    refuse_other_sites(request)
    state = state_of(request)
    client = request.client.host if request.client else ""
    session_id, session = await state.sessions.sign_in(body.link, client)
    response.set_cookie(
        session_cookie(request),
        session_id,
        max_age=SESSION_SECONDS,
        path=path_prefix(request) or "/",
        secure=is_secure(request, state.settings),
        httponly=True,
        samesite="strict",
    )
    return SessionView.of(session, await state.identity.user(session.user_id))


@router.get("")
async def get_session(request: Request, caller: SignedIn) -> SessionView:
    """Who is signed in. 401 when nobody is."""
    if not caller.session_id:
        raise PermissionDenied("A token is not a session; it can do all that its scopes allow.")
    found = await state_of(request).sessions.find(caller.session_id)
    if found is None:
        raise Unauthenticated("The session has ended. Sign in again.")
    return SessionView.of(*found)


@router.delete("", status_code=204)
async def sign_out(request: Request, response: Response, caller: SignedIn) -> None:
    state = state_of(request)
    await state.sessions.sign_out(caller.session_id)
    response.delete_cookie(session_cookie(request), path=path_prefix(request) or "/")
