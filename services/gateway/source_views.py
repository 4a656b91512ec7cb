"""Sources of projects, as /api/v1 takes and shows them."""

from __future__ import annotations

from typing import Literal

from services.gateway.message_view import EventsView, MessageView, SpecView
from services.gateway.request_body import Body
from services.gateway.views import View

SourceKind = Literal["git", "archive", "file", "url"]
SourceSplit = Literal["train", "test", "auto"]
SourcePhase = Literal["pending", "fetching", "ready", "failed"]


class SourceView(SpecView):
    """The counts are of the scan `scan_id`, which is empty before the first one has ended."""

    source_id: str
    project_id: str
    team_id: str
    kind: SourceKind
    name: str
    split: SourceSplit
    phase: SourcePhase
    detail: str
    fetched_bytes: int
    total_bytes: int
    sha256: str
    scan_id: str
    num_files: int
    num_accepted_files: int
    created_at: float
    fetched_at: float


class SourcePage(MessageView):
    """`next_page_token` is empty on the last page."""

    sources: list[SourceView]
    next_page_token: str


class DeletedSource(View):
    source_id: str


class SourceEvents(EventsView):
    source: SourceView
    deleted: DeletedSource


class SourceChanges(Body):
    """What is left out stays as it is."""

    name: str | None = None
    split: SourceSplit | None = None
