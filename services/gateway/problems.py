"""The one place where an error becomes an HTTP answer: OpenAI's `error` and Refact's `detail`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse

from services.cluster.errors import AdapterNotLoaded, HearthError, ModelNotFound, NotReady

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_RETRY_SECONDS = 5.0
_REFACT_AGENT = "refact-lsp"


class ProblemError(BaseModel):
    message: str
    type: str
    param: str | None
    code: str


class Problem(BaseModel):
    """`detail` is a sentence: what is wrong and what would be right."""

    error: ProblemError
    detail: str
    caps_version: int


def problem(error: HearthError, caps_version: int) -> dict[str, Any]:
    """`caps_version` lets a plugin see that what it was offered has changed."""
    default = "api_error" if error.http_status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": error.message,
            "type": _TYPES.get(error.http_status, default),
            "param": error.param,
            "code": error.code,
        },
        **beside(error, caps_version),
    }


def beside(error: HearthError, caps_version: int) -> dict[str, Any]:
    """What stands beside `error` in every dialect; `progress` where a model still loads."""
    progress = {"progress": error.progress} if isinstance(error, NotReady) else {}
    return {"detail": error.message, "caps_version": caps_version, **progress}


@dataclass(frozen=True)
class ProblemForm:
    """How a dialect tells of an error; `statuses` are its own in place of the error's.

    `shape` describes what `body` makes.
    """

    body: Callable[[HearthError, int], dict[str, Any]] = problem
    statuses: Mapping[int, int] = field(default_factory=dict)
    shape: type[BaseModel] = Problem


OPENAI_PROBLEMS = ProblemForm()


def tell_problems(request: Request, form: ProblemForm) -> None:
    """From here on errors of this request are told in that form."""
    request.state.problem_form = form


class ToldIn:
    """A route's dependency that runs before all others, so that their errors have the form too."""

    def __init__(self, form: ProblemForm) -> None:
        self.form = form

    async def __call__(self, request: Request) -> None:
        tell_problems(request, self.form)


def problem_form(request: Request) -> ProblemForm:
    form: ProblemForm = getattr(request.state, "problem_form", OPENAI_PROBLEMS)
    return form


def problem_answer(request: Request, error: HearthError, caps_version: int) -> JSONResponse:
    form = problem_form(request)
    status = form.statuses.get(error.http_status, error.http_status)
    # Refact's agent looks for `caps_version` in a 400 and reads no other refusal.
    user_agent = request.headers.get("user-agent", "")
    if isinstance(error, ModelNotFound | AdapterNotLoaded) and user_agent.startswith(_REFACT_AGENT):
        status = 400
    headers = {"Cache-Control": "no-store"}
    seconds = error.retry_after_seconds
    if seconds is None and error.http_status in (429, 503):
        seconds = _RETRY_SECONDS
    if seconds is not None:
        headers["Retry-After"] = str(max(1, math.ceil(seconds)))
    if error.http_status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(form.body(error, caps_version), status, headers)
