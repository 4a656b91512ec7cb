"""The routes of all dialects: a body is read, a model is found for it, its answer is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Any, Union

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.auth import COMPLETIONS, Caller
from services.gateway.dialects.exchange import Answering
from services.gateway.dialects.table import DIALECTS, Dialect
from services.gateway.live_answer import event_answer, json_answer
from services.gateway.problems import ToldIn, tell_problems
from services.gateway.repository_asking import with_context
from services.gateway.request_body import decode, parse, read, takes, tells
from services.gateway.routing import resolve
from services.gateway.state import state_of

router = APIRouter()
PATHS = frozenset(dialect.path for dialect in DIALECTS)


def _answers(dialects: Sequence[Dialect]) -> Callable[[Request, Caller], Awaitable[Response]]:
    """`dialects` are of one path, the one without a mark last."""

    async def answer(request: Request, caller: Annotated[Caller, Depends(COMPLETIONS)]) -> Response:
        values = decode(await read(request))
        kind = next(d.exchange for d in dialects if not d.mark or values.get(d.mark) is not None)
        tell_problems(request, kind.problems)
        exchange = kind(parse(kind.request, values))
        state = state_of(request)
        target = resolve(state.view, exchange.model, caller.team_id, exchange.use)
        generations = exchange.generations(target)
        if target.replicas:  # files of a repository go to no other server
            generations = await with_context(
                state.repository_context, caller, target.replicas[0], generations
            )
        answering = Answering(state, caller, target, generations, exchange.priority)
        if exchange.streams:
            return event_answer(request, lambda: exchange.events(answering), kind.error_event)
        return json_answer(request, lambda: exchange.whole(answering))

    return answer


def _described(dialects: Sequence[Dialect]) -> dict[str, Any]:
    """What the document says of a path whose bodies and answers FastAPI does not see."""
    kinds = [dialect.exchange for dialect in dialects]
    events = [kind.event for kind in kinds if kind.event is not None]
    told = {200: {"content": tells(Union[tuple(events)])}} if events else {}  # noqa: UP007
    return {
        "response_model": Union[tuple(kind.answer for kind in kinds)],  # noqa: UP007
        "responses": told,
        "openapi_extra": takes(*(kind.request for kind in kinds)),
    }


for _path, _dialects in groupby(DIALECTS, attrgetter("path")):
    _of_path = sorted(_dialects, key=lambda dialect: not dialect.mark)
    router.add_api_route(
        _path,
        _answers(_of_path),
        methods=["POST"],
        dependencies=[Depends(ToldIn(_of_path[-1].exchange.problems))],
        name=_of_path[-1].exchange.__name__,
        description=_of_path[-1].exchange.__doc__,
        **_described(_of_path),
    )
