"""/api/v1/cluster and /api/v1/events: what runs, now and as it changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.cluster.errors import StoreUnavailable
from services.gateway.auth import ADMIN, Caller
from services.gateway.event_stream import EventStream, described
from services.gateway.live_answer import KEEP_ALIVE, event, event_answer
from services.gateway.message_view import EventsView
from services.gateway.state import GatewayState, state_of
from services.gateway.views import ClusterState

router = APIRouter(prefix="/api/v1", tags=["cluster"])
Administrator = Annotated[Caller, Depends(ADMIN)]

_REFRESH_SECONDS = 5.0  # devices tell their use without a change of the registry
_PAUSE_SECONDS = 0.25  # a start changes many records at once


class ClusterEvents(EventsView):
    cluster: ClusterState


@router.get("/cluster")
async def get_cluster(request: Request, caller: Administrator) -> ClusterState:
    return await _cluster(state_of(request))


@router.get("/events", response_class=EventStream, responses=described(ClusterEvents))
async def follow_cluster(request: Request, caller: Administrator) -> Response:
    """The whole state: once now, then at each change."""
    return event_answer(request, lambda: _events(state_of(request)))


async def _cluster(state: GatewayState) -> ClusterState:
    return ClusterState.of(state.view, await state.devices.snapshot())


async def _events(state: GatewayState) -> AsyncGenerator[bytes]:
    last = b""
    while not state.stopping.is_set():
        shown = state.view
        try:
            data = event((await _cluster(state)).model_dump(mode="json"), "cluster")
        except StoreUnavailable:
            data = last
        yield KEEP_ALIVE if data == last else data
        last = data
        await asyncio.sleep(_PAUSE_SECONDS)
        with contextlib.suppress(TimeoutError):
            if state.view is shown:
                await asyncio.wait_for(state.cache.changed(), _REFRESH_SECONDS)
