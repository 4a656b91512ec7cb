"""Who asks, and whether they may. Every route declares its scope; without one it is not served."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import BaseRoute

from services.cluster.errors import PermissionDenied, StoreUnavailable, Unauthenticated
from services.cluster.identity import SCOPES, Scope
from services.gateway.public_address import is_own_origin, path_prefix
from services.gateway.state import state_of

# Of everybody who is in no other: what is made in it is seen by all of them.
DEFAULT_TEAM = "default"
CSRF_HEADER = "x-csrf-token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_SCOPES = frozenset({Scope.COMPLETIONS, Scope.MODELS_READ})
# A token for completions may list the models it can name; an administrator's may do everything.
_IMPLIED = {
    Scope.COMPLETIONS: {Scope.COMPLETIONS, Scope.MODELS_READ},
    Scope.MODELS_READ: {Scope.MODELS_READ},
    Scope.ADMIN: set(SCOPES),
}


def session_cookie(request: Request) -> str:
    """Browsers send cookies to every port of a host, and to the paths below that of the cookie:
    two Hearths must not share a name.
    """
    port = state_of(request).settings.port
    return f"hearth_session_{port}{path_prefix(request).replace('/', '_')}"


@dataclass(frozen=True)
class Caller:
    """`user_id` is "" for somebody who needs none. `session_id` and `csrf_token`: a browser's."""

    user_id: str = ""
    name: str = ""
    role: str = ""
    team_id: str = DEFAULT_TEAM
    scopes: frozenset[Scope] = frozenset()
    session_id: str = ""
    csrf_token: str = ""


class Allow:
    """A route's dependency: the caller, if the scope is theirs. None: anybody."""

    def __init__(self, scope: Scope | None) -> None:
        self._scope = scope

    @property
    def is_open(self) -> bool:
        return self is ANYBODY

    async def __call__(self, request: Request) -> Caller:
        if self._scope is None:
            return Caller()
        caller = await identify(request)
        if caller is None:
            if state_of(request).settings.open_completions and self._scope in _OPEN_SCOPES:
                return Caller(scopes=_OPEN_SCOPES)
            raise Unauthenticated(
                "This needs a token: send the header Authorization: Bearer TOKEN, or x-api-key:"
                " TOKEN. The web interface makes tokens, and so does `make token`."
            )
        if self._scope not in caller.scopes:
            held = ", ".join(sorted(caller.scopes)) or "none"
            raise PermissionDenied(f"This needs the scope {self._scope}; the token has: {held}.")
        return caller


class AllowSignedIn(Allow):
    """Whoever signed in with a browser, and scripts that may do everything."""

    def __init__(self) -> None:
        super().__init__(None)

    async def __call__(self, request: Request) -> Caller:
        caller = await identify(request)
        if caller is None:
            raise Unauthenticated("Nobody is signed in here. `make admin-link` prints a link.")
        if not caller.session_id and Scope.ADMIN not in caller.scopes:
            raise PermissionDenied(
                f"A token needs the scope {Scope.ADMIN} for this; otherwise sign in with a browser."
            )
        return caller


async def identify(request: Request) -> Caller | None:
    """None when nothing was shown. Raises Unauthenticated for what is not valid."""
    state = state_of(request)
    token = _token(request)
    if token is not None:
        if state.tokens.stale_seconds > state.settings.auth_stale_seconds:
            raise StoreUnavailable(
                "Tokens cannot be checked: Redis has been away for too long.",
                retry_after_seconds=5,
            )
        record = state.tokens.find(token)
        if record is not None:
            scopes = frozenset().union(*(_IMPLIED[scope] for scope in record.scopes))
            return Caller(record.user_id, record.name, "", _team(record.team_id), frozenset(scopes))
        if not state.settings.open_completions:
            raise Unauthenticated("The token is not known here, was revoked or has expired.")
        return None
    session_id = request.cookies.get(session_cookie(request), "")
    found = await state.sessions.find(session_id) if session_id else None
    if found is None:
        return None
    session, user = found
    _refuse_forgery(request, session.csrf_token)
    scopes = SCOPES if user.role == "admin" else _OPEN_SCOPES
    return Caller(
        user.user_id,
        user.name,
        user.role,
        _team(user.team_id),
        frozenset(scopes),
        session_id,
        session.csrf_token,
    )


def _token(request: Request) -> str | None:
    """As most clients show it, or in Anthropic's header. None: nothing was shown, "": no token."""
    if header := request.headers.get("authorization"):
        kind, _, token = header.partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""
    return request.headers.get("x-api-key") or None


def _team(team_id: str) -> str:
    return team_id or DEFAULT_TEAM


def refuse_other_sites(request: Request) -> None:
    """Raises PermissionDenied for what a page of another site sent."""
    origin = request.headers.get("origin")
    if origin and not is_own_origin(request, origin, state_of(request).settings):
        raise PermissionDenied("A page of another site may not use Hearth in your name.")


def _refuse_forgery(request: Request, csrf_token: str) -> None:
    """A browser sends its cookie whoever asks it to: a change needs the session's own header."""
    refuse_other_sites(request)
    if request.method in _SAFE_METHODS:
        return
    shown = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(shown.encode(), csrf_token.encode()):
        raise PermissionDenied("The header X-CSRF-Token is missing or old. Load the page again.")


ANYBODY = Allow(None)
COMPLETIONS = Allow(Scope.COMPLETIONS)
MODELS_READ = Allow(Scope.MODELS_READ)
ADMIN = Allow(Scope.ADMIN)
SIGNED_IN = AllowSignedIn()


def undeclared(routes: Iterable[BaseRoute]) -> list[str]:
    """Paths of routes that do not say who may call them: those are not served."""
    return [
        getattr(route, "path", str(route))
        for route in routes
        if not isinstance(route, APIRoute)
        or not any(isinstance(d.call, Allow) for d in route.dependant.dependencies)
    ]
