"""/api/v1/replicas: what a replica has to say, also one that has ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from services.cluster.errors import NotFound
from services.cluster.pb.v1 import inference_pb2 as pb
from services.gateway import event_stream
from services.gateway.auth import ADMIN, Caller
from services.gateway.event_stream import EventStream, described
from services.gateway.live_answer import event
from services.gateway.message_view import EventsView
from services.gateway.state import GatewayState, state_of
from services.gateway.upstream.calls import streamed
from services.gateway.views import View

router = APIRouter(prefix="/api/v1/replicas", tags=["deployments"])
Administrator = Annotated[Caller, Depends(ADMIN)]

_MAX_LINES = 10_000


class LogLines(View):
    """Oldest first. Those of a log are JSON objects; what was printed is plain text."""

    lines: list[str]


class LogEvents(EventsView):
    lines: LogLines


@router.get("/{replica_id}/log", response_class=EventStream, responses=described(LogEvents))
async def read_replica_log(
    request: Request,
    replica_id: str,
    caller: Administrator,
    num_lines: Annotated[int, Query(ge=0, le=_MAX_LINES)] = 0,
    follow: bool = False,
    printed: bool = False,
) -> Response:
    """The last lines, 200 for 0 of them; with `follow` then new ones, until you go away.

    `printed`: what its process printed, where engines and Python say why they ended.
    """
    wanted = pb.ReadReplicaLogRequest(
        replica_id=replica_id, num_lines=num_lines, follow=follow, printed=printed
    )
    return event_stream.follow(request, lambda: _events(state_of(request), wanted))


async def _events(state: GatewayState, wanted: pb.ReadReplicaLogRequest) -> AsyncGenerator[bytes]:
    """From the first agent that knows the replica: one that has ended is in no record."""
    missing = NotFound(f"No replica {wanted.replica_id} has run in this cluster.")
    for agent in await state.services.agents(_host_of(state, wanted.replica_id)):
        try:
            async with aclosing(streamed(agent.ReadReplicaLog(wanted))) as messages:
                async for message in messages:
                    yield event({"lines": list(message.lines)}, "lines")
            return
        except NotFound as error:
            missing = error
    raise missing


def _host_of(state: GatewayState, replica_id: str) -> str:
    """ "" when it is not known, or not any more."""
    replica = state.view.replicas.get(replica_id)
    return replica.host_id if replica else ""
