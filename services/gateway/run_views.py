"""Runs and their events, as /api/v1 shows them."""

from __future__ import annotations

import math
from typing import Literal

from services.cluster.pb.v1 import finetune_pb2 as pb
from services.gateway.checkpoint_views import CheckpointView
from services.gateway.evaluation_views import EvaluationView
from services.gateway.message_view import EventsView, MessageView
from services.gateway.run_plan_views import RunPlanView, RunSpecView
from services.gateway.views import View

RunStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
RunPhase = Literal[
    "waiting_for_devices",
    "waiting_for_window",
    "preparing",
    "training",
    "evaluating",
    "publishing",
]
RunEventKind = Literal["run", "metrics", "log", "checkpoint", "evaluation"]


class RunProgressView(MessageView):
    """Losses are null until one was measured, `remaining_seconds` while it is unknown."""

    num_done_steps: int
    num_total_steps: int
    num_epochs: float
    train_loss: float | None
    test_loss: float | None
    best_test_loss: float | None
    tokens_per_second: float
    peak_device_bytes: int
    trained_seconds: float
    remaining_seconds: float | None


class RunView(MessageView):
    """`phase` is null unless it runs or waits for its window; ids are empty while there is none."""

    run_id: str
    project_id: str
    team_id: str
    spec: RunSpecView
    plan: RunPlanView
    model_revision: str
    code_version: str
    status: RunStatus
    phase: RunPhase | None
    detail: str
    error: str
    progress: RunProgressView | None
    attempt: int
    device_ids: list[str]
    best_checkpoint_id: str
    evaluation_id: str
    adapter_ids: list[str]
    resumed_from_checkpoint_id: str
    created_at: float
    started_at: float
    finished_at: float


class RunPage(MessageView):
    """`next_page_token` is empty on the last page."""

    runs: list[RunView]
    next_page_token: str


class RunMetricsView(MessageView):
    """One point of the curves. It replaces one of the same step, and after a new attempt all of
    higher steps. `test_loss` is null where it was not measured.
    """

    step: int
    attempt: int
    train_loss: float
    test_loss: float | None
    learning_rate: float
    gradient_norm: float
    num_tokens: int
    tokens_per_second: float
    peak_device_bytes: int
    trained_seconds: float


def is_point(metrics: pb.RunMetrics) -> bool:
    """Whether it can be drawn. A trainer fails before it tells another; an old journal may not."""
    return math.isfinite(metrics.train_loss) and math.isfinite(metrics.gradient_norm)


class RunLogLineView(View):
    event_at: float
    level: Literal["info", "warning", "error"]
    text: str


class RunEvents(EventsView):
    run: RunView
    metrics: RunMetricsView
    log: RunLogLineView
    checkpoint: CheckpointView
    evaluation: EvaluationView
