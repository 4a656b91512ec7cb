"""/api/v1/…/checkpoints and /api/v1/evaluations: what runs made, published."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from services.cluster.pb.v1 import finetune_pb2 as pb
from services.gateway.auth import ADMIN, Caller
from services.gateway.checkpoint_views import CheckpointPage, Publication, PublishedAdapterView
from services.gateway.evaluation_views import EvaluationCasePage, EvaluationView
from services.gateway.paging import PageWanted
from services.gateway.request_body import StrictRoute
from services.gateway.state import state_of
from services.gateway.upstream.calls import answered

router = APIRouter(prefix="/api/v1", tags=["runs"], route_class=StrictRoute)
Administrator = Annotated[Caller, Depends(ADMIN)]

_PUBLISH_SECONDS = 120.0  # the weights are written


@router.get("/runs/{run_id}/checkpoints")
async def list_checkpoints(
    request: Request, run_id: str, page: PageWanted, caller: Administrator
) -> CheckpointPage:
    """Complete ones, by step."""
    finetune = await state_of(request).services.finetune()
    wanted = pb.ListCheckpointsRequest(run_id=run_id, page_size=page.size, page_token=page.token)
    return CheckpointPage.of(await answered(finetune.ListCheckpoints(wanted)))


@router.post("/checkpoints/{checkpoint_id}/publish", status_code=201)
async def publish_checkpoint(
    request: Request,
    checkpoint_id: str,
    caller: Administrator,
    body: Publication | None = None,
) -> PublishedAdapterView:
    """Makes an adapter of it. The same checkpoint and name again answer the same adapter."""
    state = state_of(request)
    finetune = await state.services.finetune()
    body = body or Publication()
    wanted = pb.PublishAdapterRequest(checkpoint_id=checkpoint_id, **body.model_dump())
    adapter = await answered(finetune.PublishAdapter(wanted), _PUBLISH_SECONDS)
    await state.cache.refresh()  # the next request must find it
    return PublishedAdapterView.of(adapter)


@router.get("/evaluations/{evaluation_id}")
async def get_evaluation(
    request: Request, evaluation_id: str, caller: Administrator
) -> EvaluationView:
    finetune = await state_of(request).services.finetune()
    wanted = pb.GetEvaluationRequest(evaluation_id=evaluation_id)
    return EvaluationView.of(await answered(finetune.GetEvaluation(wanted)))


@router.get("/evaluations/{evaluation_id}/cases")
async def list_evaluation_cases(
    request: Request,
    evaluation_id: str,
    page: PageWanted,
    caller: Administrator,
    guard: bool = False,
) -> EvaluationCasePage:
    """Side by side, in order, as far as they are done. `guard`: those of general code."""
    finetune = await state_of(request).services.finetune()
    wanted = pb.ListEvaluationCasesRequest(
        evaluation_id=evaluation_id, guard=guard, page_size=page.size, page_token=page.token
    )
    return EvaluationCasePage.of(await answered(finetune.ListEvaluationCases(wanted)))
