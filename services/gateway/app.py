"""The gateway's HTTP application: routes, what stands around every request, errors as answers."""

from __future__ import annotations

import logging
import re
import time
import uuid

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from services.cluster import VERSION
from services.cluster.errors import BadRequest, HearthError, Internal, NotFound
from services.cluster.log import request_id_var
from services.gateway import auth
from services.gateway.bounded_body import BoundedBody
from services.gateway.metrics import HTTP_SECONDS
from services.gateway.problems import problem_answer
from services.gateway.public_address import PublicAddress
from services.gateway.request_body import explain
from services.gateway.routes import (
    adapters,
    checkpoints,
    cluster,
    datasets,
    deployments,
    dialects,
    embeddings,
    models,
    openapi,
    operations,
    pages,
    projects,
    providers,
    refact,
    refact_account,
    refact_telemetry,
    replicas,
    runs,
    scans,
    session,
    sources,
    tabby,
    tokens,
    toolbox,
    verdicts,
    weights,
)
from services.gateway.settings import GatewaySettings
from services.gateway.state import GatewayState, state_of

log = logging.getLogger(__name__)

_ROUTERS = (
    operations.router,
    dialects.router,
    embeddings.router,
    models.router,
    refact.router,
    refact_account.router,
    refact_telemetry.router,
    tabby.router,
    session.router,
    tokens.router,
    toolbox.router,
    cluster.router,
    deployments.router,
    replicas.router,
    weights.router,
    adapters.router,
    providers.router,
    projects.router,
    sources.router,
    scans.router,
    verdicts.router,
    datasets.router,
    runs.router,
    checkpoints.router,
    openapi.router,
    pages.router,  # last: it takes what is left
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class MethodNotAllowed(BadRequest):
    http_status = 405
    code = "method_not_allowed"


def create_app(state: GatewayState | None = None) -> FastAPI:
    """Without a state only its description can be used. Raises LookupError for an open route."""
    app = FastAPI(title="Hearth", version=VERSION, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.gateway = state
    for router in _ROUTERS:
        app.include_router(router)
    if open_routes := auth.undeclared(app.routes):
        raise LookupError(f"These routes do not say who may call them: {open_routes}.")
    app.add_exception_handler(HearthError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_fault)

    def longest_body(path: str) -> int:
        settings = _settings(app)
        if path.rstrip("/") == adapters.router.prefix:
            return settings.max_adapter_bytes
        if re.fullmatch(sources.UPLOAD_PATH, path):
            return settings.max_upload_bytes
        if re.fullmatch(weights.UPLOAD_PATH, path):
            return settings.max_weights_bytes
        if path in dialects.PATHS:
            return settings.max_prompt_bytes
        return settings.max_body_bytes

    app.add_middleware(
        BoundedBody, limit=longest_body, silent_seconds=lambda: _settings(app).body_seconds
    )
    app.add_middleware(RequestFrame)
    if state and state.settings.trusted_proxies:
        proxies = state.settings.trusted_proxies
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=proxies)
    if state:
        app.add_middleware(PublicAddress, settings=state.settings)
    return app


def _settings(app: FastAPI) -> GatewaySettings:
    state: GatewayState = app.state.gateway
    return state.settings


class RequestFrame:
    """Gives every request an id, measures it, and names it in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request_id_var.set(request_id)
        started = time.monotonic()
        status = 499  # the client went away before an answer began

        is_head = scope["method"] == "HEAD"
        if is_head:
            scope["method"] = "GET"

        async def named(message: Message) -> None:
            nonlocal status
            if is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            await self._app(scope, receive, named)
        finally:
            route = scope.get("route")
            path = route.path if isinstance(route, APIRoute) else "unknown"
            seconds = time.monotonic() - started
            HTTP_SECONDS.labels(path, scope["method"], str(status)).observe(seconds)
            log.debug("request", extra={"path": path, "status": status, "seconds": seconds})


def _problem(request: Request, error: HearthError) -> Response:
    return problem_answer(request, error, state_of(request).view.caps_version)


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HearthError)
    return _problem(request, error)


async def _answer_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [{**p, "loc": p["loc"][1:] or p["loc"]} for p in error.errors()]
    return _problem(request, BadRequest(explain(problems), param=str(problems[0]["loc"][0])))


async def _answer_http(request: Request, error: Exception) -> Response:
    """What the router refuses by itself: no such place, no such method."""
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, HearthError):  # FastAPI hides what reading a body raised
        return _problem(request, error.__cause__)
    place = f"{request.method} {request.url.path[:200]}"
    if error.status_code not in (404, 405):
        return _problem(request, BadRequest(f"{place}: {str(error.detail).rstrip('.')}."))
    allowed = ", ".join(_methods_at(request))
    if not allowed:
        return _problem(request, NotFound(f"There is no {place} here."))
    answer = _problem(request, MethodNotAllowed(f"There is no {place}; there is {allowed}."))
    answer.headers["Allow"] = allowed
    return answer


def _methods_at(request: Request) -> list[str]:
    """Of every route that has the request's path, but for the pages, which have all paths."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.path != pages.EVERY_PATH and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods
    return sorted(found | {"HEAD"} if "GET" in found else found)


async def _answer_fault(request: Request, error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return _problem(
        request, Internal("The gateway met a fault of its own; its log has the details.")
    )
