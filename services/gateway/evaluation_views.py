"""Evaluations, as /api/v1 shows them."""

from __future__ import annotations

from typing import Literal

from services.gateway.message_view import MessageView

EvaluationStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
EvaluationVerdict = Literal["better", "no_difference", "worse", "too_little_data"]


class EvaluationScoresView(MessageView):
    """Means over the cases."""

    edit_similarity: float
    exact_match_share: float
    mean_loss: float
    latency_p50_seconds: float
    latency_p95_seconds: float


class EvaluationIntervalView(MessageView):
    """Candidate minus base; `low` and `high` bound the 95 % interval."""

    mean: float
    low: float
    high: float
    num_files: int


class EvaluationView(MessageView):
    """Of a checkpoint or an adapter, the other id is null. `verdict` is null until it succeeded."""

    evaluation_id: str
    project_id: str
    team_id: str
    checkpoint_id: str | None
    adapter_id: str | None
    model: str
    dataset_id: str
    status: EvaluationStatus
    fraction: float
    error: str
    verdict: EvaluationVerdict | None
    summary: str
    num_cases: int
    num_files: int
    base_scores: EvaluationScoresView | None
    candidate_scores: EvaluationScoresView | None
    edit_similarity_difference: EvaluationIntervalView | None
    loss_difference: EvaluationIntervalView | None
    guard_difference: EvaluationIntervalView | None
    created_at: float
    finished_at: float


class EvaluationCaseView(MessageView):
    """One cut of a held-out file, what it says there, and what base and candidate made of it."""

    case_number: int
    path: str
    language: str
    prefix: str
    suffix: str
    middle: str
    base_middle: str
    candidate_middle: str
    base_edit_similarity: float
    candidate_edit_similarity: float


class EvaluationCasePage(MessageView):
    """`next_page_token` is empty on the last page."""

    cases: list[EvaluationCaseView]
    next_page_token: str
