"""Scans, as /api/v1 takes and shows them."""

from __future__ import annotations

from typing import Literal

from services.gateway.message_view import EventsView, MessageView
from services.gateway.request_body import Body
from services.gateway.verdict_views import VerdictReason
from services.gateway.views import View

ScanStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ScanPhase = Literal["fetching", "filtering", "scoring", "writing"]
ScanTrigger = Literal["user", "sources", "filters"]


class ScanProgressView(MessageView):
    """Of the phase in hand; `remaining_seconds` is of the whole scan, null while unknown."""

    fraction: float
    num_done: int
    num_total: int
    files_per_second: float
    remaining_seconds: float | None
    message: str
    num_judged_files: int
    num_reused_files: int
    num_scored_files: int


class ReasonCountView(MessageView):
    reason: VerdictReason
    num_files: int


class LanguageCountView(MessageView):
    """`language` is empty for files in which none was found."""

    language: str
    num_files: int
    num_accepted_files: int
    accepted_bytes: int


class ScanCountsView(MessageView):
    """`reasons`: rejected files by first reason. `mean_loss` is null without stage 2."""

    num_files: int
    num_accepted_files: int
    accepted_bytes: int
    reasons: list[ReasonCountView]
    languages: list[LanguageCountView]
    mean_loss: float | None


class ScanView(MessageView):
    """`phase` is null unless it runs; `dataset_id` is empty until it has succeeded."""

    scan_id: str
    project_id: str
    team_id: str
    trigger: ScanTrigger
    status: ScanStatus
    phase: ScanPhase | None
    progress: ScanProgressView | None
    error: str
    attempt: int
    filters_revision: int
    model: str
    loss_skipped_reason: str
    counts: ScanCountsView
    dataset_id: str
    created_at: float
    started_at: float
    finished_at: float


class ScanPage(MessageView):
    """`next_page_token` is empty on the last page."""

    scans: list[ScanView]
    next_page_token: str


class ScanLogLineView(View):
    event_at: float
    log_line: str


class ScanEvents(EventsView):
    scan: ScanView
    log: ScanLogLineView


class NewScan(Body):
    """`from_scratch` forgets what earlier scans of the project found out."""

    from_scratch: bool = False
