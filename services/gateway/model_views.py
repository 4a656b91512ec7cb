"""Models and their weights, as /api/v1 takes and shows them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from services.gateway.message_view import EventsView, MessageView
from services.gateway.views import View

WeightsState = Literal["absent", "downloading", "present", "failed"]


class NewModel(BaseModel):
    """Either `hub_id`, or `local_path`: an absolute one, of a folder on the agent's host."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    hub_id: str = ""
    local_path: str = ""
    revision: str = ""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if bool(self.hub_id) == bool(self.local_path):
            raise ValueError("name the model by hub_id or by local_path, and not by both")
        return self


class WeightsView(MessageView):
    """On the agent's host. `detail` is a sentence: why they failed, or what they wait for."""

    model: str
    state: WeightsState
    present_bytes: int
    total_bytes: int
    detail: str


class ModelCapabilitiesView(View):
    completion: bool
    chat: bool
    embeddings: bool
    finetune: bool


class AddedModelView(MessageView):
    name: str
    hub_id: str | None
    local_path: str | None
    revision: str
    commit: str
    architecture: str
    num_parameters: int
    context_tokens: int
    weights_bytes: int
    fill_in_the_middle_family: str
    capabilities: ModelCapabilitiesView
    licence: str
    weights: WeightsView


class DownloadView(MessageView):
    """`total_bytes` and `bytes_per_second` are 0, `remaining_seconds` null while unknown."""

    model: str
    present_bytes: int
    total_bytes: int
    remaining_seconds: float | None
    bytes_per_second: float
    file: str
    detail: str


class DownloadEvents(EventsView):
    progress: DownloadView


class DeletedWeights(MessageView):
    freed_bytes: int
