"""/api/v1/toolbox: the commands that a developer runs on selected code."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from services.cluster.toolbox import ToolboxRecord
from services.gateway.auth import ADMIN, COMPLETIONS, Caller
from services.gateway.request_body import StrictRoute
from services.gateway.state import state_of
from services.gateway.toolbox.commands import listed, put, reset
from services.gateway.toolbox_views import ToolboxCommandView, WantedCommand

router = APIRouter(prefix="/api/v1/toolbox", tags=["toolbox"], route_class=StrictRoute)
Developer = Annotated[Caller, Depends(COMPLETIONS)]
Administrator = Annotated[Caller, Depends(ADMIN)]


@router.get("")
async def list_commands(request: Request, caller: Developer) -> list[ToolboxCommandView]:
    """Those that come along, changed or not, then those that were added. Some are switched off."""
    state = state_of(request)
    commands = listed(state.toolbox_defaults, state.view.toolbox)
    return [ToolboxCommandView.of(command) for command in commands.values()]


@router.put("/{name}")
async def put_command(
    request: Request, name: str, body: WantedCommand, caller: Administrator
) -> ToolboxCommandView:
    """Plugins have it with their next answer: `caps_version` rises in the same step."""
    state, command = state_of(request), body.command(name)

    def change(record: ToolboxRecord) -> ToolboxRecord:
        return put(
            state.toolbox_defaults, record, command, enabled=body.enabled, edition=body.edition
        )

    record = await state.registry.change_toolbox(change)
    await state.cache.refresh()
    return ToolboxCommandView.of(listed(state.toolbox_defaults, record)[name])


@router.delete("/{name}", status_code=204)
async def reset_command(
    request: Request, name: str, edition: Annotated[int, Query(ge=0)], caller: Administrator
) -> None:
    """As it comes along again; one that was added is gone. `edition`: what the caller has seen."""
    state = state_of(request)

    def change(record: ToolboxRecord) -> ToolboxRecord:
        return reset(state.toolbox_defaults, record, name, edition=edition)

    await state.registry.change_toolbox(change)
    await state.cache.refresh()
