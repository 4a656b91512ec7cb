"""Projects, as /api/v1 takes and shows them."""

from __future__ import annotations

from pydantic import Field

from services.gateway.message_view import MessageView, SpecView
from services.gateway.request_body import Body


class ProjectView(SpecView):
    """`latest_scan_id` and `latest_dataset_id` are empty while there is none."""

    project_id: str
    team_id: str
    name: str
    reader_team_ids: list[str]
    finetune_model: str
    manual_scans: bool
    latest_scan_id: str
    latest_dataset_id: str
    num_sources: int
    created_at: float
    updated_at: float


class ProjectPage(MessageView):
    """`next_page_token` is empty on the last page."""

    projects: list[ProjectView]
    next_page_token: str


class NewProject(Body):
    """`finetune_model`: the base that stage 2 of scans asks and that runs train; empty: none."""

    name: str = Field(min_length=1, max_length=64)
    finetune_model: str = ""
    manual_scans: bool = False


class ProjectChanges(Body):
    """What is left out stays as it is."""

    name: str | None = None
    finetune_model: str | None = None
    manual_scans: bool | None = None
