"""Where a client sees Hearth, which a reverse proxy between them may change.

Every request is given the path that its client asked for, the prefix in it, as ASGI has it: the
prefix is `root_path`. So proxies that take the prefix off and those that leave it are alike. The
prefix is that of HEARTH_PUBLIC_URL, or what a trusted proxy says, whose word on the host holds too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.settings import OWN_PLACES, PREFIX_FORM, GatewaySettings

_HOST = re.compile(rb"[A-Za-z0-9.:\[\]_-]{1,255}")


class PublicAddress:
    """Reads the peer's own address: it stands around what replaces that by the client's."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self._app = app
        self._prefix = settings.path_prefix
        self._trusted = settings.trusted_networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = _forwarded(scope) if _is_of(scope.get("client"), self._trusted) else {}
        prefix = told.get(b"x-forwarded-prefix", b"").decode("latin-1").rstrip("/")
        if not PREFIX_FORM.fullmatch(prefix) or prefix[1:].partition("/")[0] in OWN_PLACES:
            prefix = self._prefix
        changes = _under(prefix, scope)
        host = told.get(b"x-forwarded-host", b"")
        if _HOST.fullmatch(host):
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            changes["headers"] = [(b"host", host), *others]
        await self._app({**scope, **changes}, receive, send)


def path_prefix(request: Request) -> str:
    """What stands before each of our paths where the client asks for them; "" for nothing."""
    return str(request.scope["root_path"])


def own_path(scope: Scope) -> str:
    """The path without the prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope["root_path"]) or "/"


def is_own_origin(request: Request, origin: str, settings: GatewaySettings) -> bool:
    """Whether a browser's Origin is Hearth itself, by whichever name it was asked."""
    host = urlsplit(origin).netloc
    return bool(host) and host in (
        request.headers.get("host", ""),
        urlsplit(settings.public_url).netloc,
    )


def is_secure(request: Request, settings: GatewaySettings) -> bool:
    """Whether the browser speaks HTTPS."""
    return (
        settings.secure_cookies
        or request.url.scheme == "https"
        or urlsplit(settings.public_url).scheme == "https"
    )


def _is_of(client: tuple[str, int] | None, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    if client is None or not networks:
        return False
    try:
        address = ip_address(client[0])
    except ValueError:
        return False
    return any(address in network for network in networks)


def _forwarded(scope: Scope) -> dict[bytes, bytes]:
    """The nearest proxy's word: it stands last where each proxy adds its own."""
    return {name: value.rpartition(b",")[2].strip() for name, value in scope["headers"]}


def _under(prefix: str, scope: Scope) -> Scope:
    path, raw = scope["path"], scope["raw_path"]
    if prefix and path == prefix:  # Starlette would redirect to its slash, by a Host that is wrong
        path, raw = f"{prefix}/", f"{prefix}/".encode()
    elif not path.startswith(f"{prefix}/"):
        path, raw = prefix + path, prefix.encode() + raw
    return {"root_path": prefix, "path": path, "raw_path": raw}
