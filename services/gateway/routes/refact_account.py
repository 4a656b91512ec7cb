"""What plugins of 2023 ask before anything else: whose the token is, and whether it is good."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from services.gateway.auth import COMPLETIONS, Caller
from services.gateway.refact_problems import tell_as_refact

router = APIRouter(dependencies=[Depends(tell_as_refact)])
Completer = Annotated[Caller, Depends(COMPLETIONS)]

_NOBODY = "self-hosted"  # in open mode


@router.get("/v1/login")
async def login(caller: Completer) -> Response:
    """Offers none of the functions that a server ran for plugins of that time."""
    return JSONResponse(
        {
            "retcode": "OK",
            "account": caller.user_id or _NOBODY,
            "chat-v1-style": 1,
            "longthink-functions-today": 1,
            "longthink-functions-today-v2": {},
            "longthink-filters": [],
        }
    )


@router.get("/v1/secret-key-activate")
async def activate_key(caller: Completer) -> Response:
    return JSONResponse({"retcode": "OK", "human_readable_message": "API key verified"})
