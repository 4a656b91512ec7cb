"""/api/v1/runs: fine-tunes, planned, started and watched."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from services.cluster.pb.v1 import finetune_pb2 as pb
from services.gateway.auth import ADMIN, Caller
from services.gateway.event_stream import EventStream, LastSeen, described, follow
from services.gateway.live_answer import KEEP_ALIVE, event
from services.gateway.paging import PageWanted
from services.gateway.proto_values import number_of, values_of
from services.gateway.request_body import IdempotencyKey, StrictRoute
from services.gateway.run_plan_views import RunParameterList, RunPlanView, RunSpec
from services.gateway.run_views import (
    RunEventKind,
    RunEvents,
    RunPage,
    RunStatus,
    RunView,
    is_point,
)
from services.gateway.state import GatewayState, state_of
from services.gateway.upstream.calls import answered, streamed

router = APIRouter(prefix="/api/v1", tags=["runs"], route_class=StrictRoute)
Administrator = Annotated[Caller, Depends(ADMIN)]

_PLAN_SECONDS = 120.0  # the tokens of a dataset are counted once
_MAX_CHOICES = 10


@router.get("/run-parameters")
async def list_run_parameters(
    request: Request, caller: Administrator, model: str = ""
) -> RunParameterList:
    """What can be set of a training, with ranges and defaults. `model` is empty: for all models."""
    finetune = await state_of(request).services.finetune()
    wanted = pb.ListParametersRequest(model=model)
    return RunParameterList.of(await answered(finetune.ListParameters(wanted)))


@router.post("/run-plans")
async def plan_run(request: Request, body: RunSpec, caller: Administrator) -> RunPlanView:
    """What a run would do, without starting it."""
    finetune = await state_of(request).services.finetune()
    wanted = pb.PlanRunRequest(spec=_spec(body))
    return RunPlanView.of(await answered(finetune.PlanRun(wanted), _PLAN_SECONDS))


@router.post("/runs", status_code=201)
async def create_run(
    request: Request, body: RunSpec, caller: Administrator, idempotency_key: IdempotencyKey = ""
) -> RunView:
    """It is queued. The same Idempotency-Key again answers the same run."""
    finetune = await state_of(request).services.finetune()
    wanted = pb.CreateRunRequest(spec=_spec(body), idempotency_key=idempotency_key)
    return RunView.of(await answered(finetune.CreateRun(wanted), _PLAN_SECONDS))


@router.get("/runs")
async def list_runs(
    request: Request,
    page: PageWanted,
    caller: Administrator,
    project_id: str = "",
    status: Annotated[list[RunStatus], Query(max_length=_MAX_CHOICES)] = [],  # noqa: B006 FastAPI copies it
) -> RunPage:
    """Newest first. Empty `project_id`: of every project; no `status`: of any."""
    finetune = await state_of(request).services.finetune()
    wanted = pb.ListRunsRequest(
        project_id=project_id,
        statuses=[number_of(pb.RunStatus.DESCRIPTOR, word) for word in status],
        page_size=page.size,
        page_token=page.token,
    )
    return RunPage.of(await answered(finetune.ListRuns(wanted)))


@router.get("/runs/{run_id}")
async def get_run(request: Request, run_id: str, caller: Administrator) -> RunView:
    finetune = await state_of(request).services.finetune()
    return RunView.of(await answered(finetune.GetRun(pb.GetRunRequest(run_id=run_id))))


@router.get("/runs/{run_id}/events", response_class=EventStream, responses=described(RunEvents))
async def follow_run(
    request: Request,
    run_id: str,
    after: LastSeen,
    caller: Administrator,
    kinds: Annotated[list[RunEventKind], Query(max_length=_MAX_CHOICES)] = [],  # noqa: B006
    history_only: bool = False,
) -> Response:
    """The events after one that was seen, then new ones, until the run has ended.

    No `kinds`: all. `history_only` ends with the newest event instead of waiting for more.
    """
    wanted = pb.WatchRunRequest(
        run_id=run_id,
        after_event_id=after,
        kinds=[number_of(pb.RunEventKind.DESCRIPTOR, word) for word in kinds],
        history_only=history_only,
    )
    return follow(request, lambda: _events(state_of(request), wanted))


async def _events(state: GatewayState, wanted: pb.WatchRunRequest) -> AsyncGenerator[bytes]:
    finetune = await state.services.finetune()
    async with aclosing(streamed(finetune.WatchRun(wanted))) as messages:
        async for message in messages:
            name = message.WhichOneof("event")
            if name is None:  # the watching begins, or it is of a kind this version does not know
                yield KEEP_ALIVE
                continue
            if name == "metrics" and not is_point(message.metrics):
                continue
            values = values_of(message)
            # A log line has no time of its own; what others do not name, they leave out.
            told = {"event_at": values["event_at"], **values[name]}
            yield event(RunEvents.data_of(name, told), name, message.event_id)


@router.post("/runs/{run_id}/cancel")
async def cancel_run(request: Request, run_id: str, caller: Administrator) -> RunView:
    """A running one writes a checkpoint first; what was written is kept."""
    finetune = await state_of(request).services.finetune()
    return RunView.of(await answered(finetune.CancelRun(pb.CancelRunRequest(run_id=run_id))))


def _spec(body: RunSpec) -> pb.RunSpec:
    fields = body.model_dump(exclude={"publish_policy", "parameters"})
    parameters = body.parameters.model_dump(exclude_none=True)
    if schedule := parameters.get("lr_schedule"):
        parameters["lr_schedule"] = number_of(pb.LearningRateSchedule.DESCRIPTOR, schedule)
    return pb.RunSpec(
        **fields,
        publish_policy=number_of(pb.PublishPolicy.DESCRIPTOR, body.publish_policy),
        parameters=pb.RunParameters(**parameters),
    )
