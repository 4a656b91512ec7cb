"""Projects, as /api/v1 takes and shows them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from services.gateway.message_view import MessageView, SpecView


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


class NewProject(BaseModel):
    """`finetune_model`: the base that stage 2 of scans asks and that runs train; empty: none."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=64)
    finetune_model: str = ""
    manual_scans: bool = False


class ProjectChanges(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    finetune_model: str | None = None
    manual_scans: bool | None = None
