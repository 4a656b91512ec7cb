"""Datasets, as /api/v1 shows them."""

from __future__ import annotations

from services.gateway.message_view import MessageView
from services.gateway.scan_views import LanguageCountView


class DatasetSourceView(MessageView):
    source_id: str
    name: str
    revision: str
    num_files: int


class DatasetPartView(MessageView):
    """`num_tokens` is 0 where nobody counted, `mean_loss` null without stage 2."""

    num_files: int
    size_bytes: int
    num_tokens: int
    mean_loss: float | None


class LicenceCountView(MessageView):
    licence: str
    num_files: int


class DatasetChangeView(MessageView):
    previous_dataset_id: str
    num_added_files: int
    num_removed_files: int
    num_changed_files: int


class DatasetView(MessageView):
    """`change` is against the dataset before, null for the first."""

    dataset_id: str
    project_id: str
    team_id: str
    scan_id: str
    model: str
    loss_skipped_reason: str
    sources: list[DatasetSourceView]
    train: DatasetPartView
    test: DatasetPartView
    num_duplicate_files: int
    languages: list[LanguageCountView]
    licences: list[LicenceCountView]
    change: DatasetChangeView | None
    created_at: float


class DatasetPage(MessageView):
    """`next_page_token` is empty on the last page."""

    datasets: list[DatasetView]
    next_page_token: str
