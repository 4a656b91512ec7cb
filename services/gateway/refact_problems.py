"""How Refact's plugins are told of an error where they read no OpenAI: by a retcode."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from services.cluster.errors import HearthError
from services.gateway.problems import ProblemForm, problem, tell_problems


def _failed(error: HearthError, caps_version: int) -> dict[str, Any]:
    return {
        "retcode": "FAILED",
        "human_readable_message": error.message,
        **problem(error, caps_version),
    }


async def tell_as_refact(request: Request) -> None:
    """A dependency of routers, which runs before those of their routes."""
    tell_problems(request, ProblemForm(_failed))
