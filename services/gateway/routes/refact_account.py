"""What plugins of 2023 ask before anything else: whose the token is, and whether it is good."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from services.gateway.auth import COMPLETIONS, Caller
from services.gateway.refact_problems import tell_as_refact

router = APIRouter(dependencies=[Depends(tell_as_refact)])
Completer = Annotated[Caller, Depends(COMPLETIONS)]

_NOBODY = "self-hosted"  # in open mode


class Login(BaseModel):
    """Offers none of the functions that a server ran for plugins of that time."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))

    retcode: Literal["OK"] = "OK"
    account: str
    chat_v1_style: int = 1
    longthink_functions_today: int = 1
    longthink_functions_today_v2: dict[str, Any] = {}
    longthink_filters: list[Any] = []


class ActivatedKey(BaseModel):
    retcode: Literal["OK"] = "OK"
    human_readable_message: str = "API key verified"


@router.get("/v1/login")
async def login(caller: Completer) -> Login:
    return Login(account=caller.user_id or _NOBODY)


@router.get("/v1/secret-key-activate")
async def activate_key(caller: Completer) -> ActivatedKey:
    return ActivatedKey()
