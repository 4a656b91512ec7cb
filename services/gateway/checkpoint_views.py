"""Checkpoints of runs and what is published from them, as /api/v1 takes and shows it."""

from __future__ import annotations

from services.gateway.evaluation_views import EvaluationView
from services.gateway.message_view import MessageView
from services.gateway.request_body import Body
from services.gateway.run_plan_views import RunParametersView


class CheckpointView(MessageView):
    """`test_loss` is null where it was not measured, `evaluation` where none has succeeded."""

    checkpoint_id: str
    run_id: str
    project_id: str
    team_id: str
    step: int
    attempt: int
    train_loss: float
    test_loss: float | None
    best: bool
    resumable: bool
    size_bytes: int
    evaluation: EvaluationView | None
    adapter_ids: list[str]
    created_at: float


class CheckpointPage(MessageView):
    """`next_page_token` is empty on the last page."""

    checkpoints: list[CheckpointView]
    next_page_token: str


class Publication(Body):
    """`name` is what clients ask for as MODEL:NAME; empty: made from run and step."""

    name: str = ""
    note: str = ""
    tags: list[str] = []


class PublishedAdapterView(MessageView):
    """An adapter and where it comes from."""

    adapter_id: str
    project_id: str
    team_id: str
    name: str
    model: str
    model_revision: str
    rank: int
    size_bytes: int
    run_id: str
    checkpoint_id: str
    dataset_id: str
    parameters: RunParametersView | None
    code_version: str
    evaluation: EvaluationView | None
    note: str
    tags: list[str]
    created_at: float
