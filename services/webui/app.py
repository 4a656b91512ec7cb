"""Hands out the built single-page application. It knows no user, no model and no API."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

# Vite puts a hash of the content into these names, so a name never changes its content.
_HASHED = "assets/"
_HASHED_CACHE = "public, max-age=31536000, immutable"
# Kept, but asked for again at each use: the answer is a 304 while nothing changed.
_REVALIDATED_CACHE = "no-cache"

# First parts of paths that belong to APIs: a page is no answer there, whatever was meant.
_NEVER_PAGES = frozenset({"assets", "api", "v1", "tabby"})

# What the gateway says that proxies put before our paths: the header that they use for it. It is
# written into a page, so that nothing else may come in that way.
_PREFIX_HEADER = "x-forwarded-prefix"
_PREFIX_FORM = re.compile(r"(/[A-Za-z0-9._~-]+)+")
# How the build writes addresses of its own in index.html.
_OWN_ADDRESS = '="./'

_SECURITY_HEADERS = {
    # Components set style attributes; scripts come from this server only.
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_NOT_BUILT = (
    "The web interface is not built yet.\n\n"
    "In the folder of Hearth type: make setup\n"
    "Then load this page again. The API works without it.\n"
)


def is_page(path: str) -> bool:
    """Whether the application itself decides what is at `path`: no file, and no API's."""
    pure = PurePosixPath(path)
    return not pure.suffix and not (pure.parts and pure.parts[0] in _NEVER_PAGES)


class Pages(StaticFiles):
    """Files of the build; any page's address gives index.html, which knows the pages.

    Its addresses are relative in the build, and absolute where they are read, at any depth.
    """

    def __init__(self, dist: Path) -> None:
        super().__init__(directory=dist, check_dir=False)
        self._index = dist / "index.html"

    async def check_config(self) -> None:
        """Accepts a folder that is not there yet."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or not is_page(path):
                raise
            if not self._index.is_file():
                return PlainTextResponse(
                    _NOT_BUILT, 503, {"Retry-After": "10", "Cache-Control": "no-store"}
                )
            response = self._page(scope)
        if path == self._index.name:
            response = self._page(scope)
        hashed = path.replace(os.sep, "/").startswith(_HASHED)
        response.headers["Cache-Control"] = _HASHED_CACHE if hashed else _REVALIDATED_CACHE
        response.headers.update(_SECURITY_HEADERS)
        return response

    def _page(self, scope: Scope) -> Response:
        prefix = Headers(scope=scope).get(_PREFIX_HEADER, "")
        place = prefix if _PREFIX_FORM.fullmatch(prefix) else ""
        text = self._index.read_text(encoding="utf-8")
        return HTMLResponse(text.replace(_OWN_ADDRESS, f'="{place}/'))


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(
        f"{error.status_code}: {error.detail}\n",
        error.status_code,
        {**(error.headers or {}), "Cache-Control": "no-store"},
    )


def create_app(dist: Path) -> Starlette:
    """`dist` is the folder that `npm run build` writes; it may appear later."""
    return Starlette(
        routes=[Route("/healthz", _health), Mount("/", Pages(dist))],
        middleware=[Middleware(GZipMiddleware, minimum_size=1024, compresslevel=6)],
        exception_handlers={HTTPException: _refuse},
    )
