"""Models and their weights, as /api/v1 takes and shows them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.cluster.pb.v1 import inference_pb2 as pb
from services.gateway.message_view import EventsView, MessageView
from services.gateway.proto_values import values_of
from services.gateway.request_body import Body
from services.gateway.views import ModelView

WeightsState = Literal["absent", "downloading", "present", "failed"]
_MAX_TOKENS = 2**32 - 1


class ModelOverridesView(BaseModel):
    """What a model's files do not say, or something else than they do; 0 and "" leave it to them.

    `chat_template` is the template itself.
    """

    model_config = ConfigDict(extra="forbid")

    context_tokens: Annotated[int, Field(ge=0, le=_MAX_TOKENS)] = 0
    fim_family: str = ""
    chat_template: str = ""
    tool_parser: str = ""
    reasoning_parser: str = ""

    def overrides(self) -> pb.ModelOverrides:
        return pb.ModelOverrides(
            context_tokens=self.context_tokens,
            fill_in_the_middle_family=self.fim_family,
            chat_template=self.chat_template,
            tool_parser=self.tool_parser,
            reasoning_parser=self.reasoning_parser,
        )


class NewModel(ModelOverridesView):
    """Either `hub_id`, or `local_path`: an absolute one, of a folder on the agent's host."""

    model_config = Body.model_config

    name: str = ""
    hub_id: str = ""
    local_path: str = ""
    revision: str = ""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if bool(self.hub_id) == bool(self.local_path):
            raise ValueError("name the model by hub_id or by local_path, and not by both")
        return self

    def message(self) -> pb.AddModelRequest:
        wanted = pb.AddModelRequest(
            name=self.name, revision=self.revision, overrides=self.overrides()
        )
        if self.hub_id:
            wanted.hub_id = self.hub_id
        else:
            wanted.local_path = self.local_path
        return wanted


class WeightsView(MessageView):
    """On the agent's host. `detail` is a sentence: why they failed, or what they wait for.

    `remaining_seconds` and `bytes_per_second` are of a download; null and 0 while unknown.
    """

    model: str
    state: WeightsState
    present_bytes: int
    total_bytes: int
    detail: str
    remaining_seconds: float | None
    bytes_per_second: float


class ListedModelView(ModelView):
    """`weights` are those on the agent's host."""

    local_path: str
    weights: WeightsView

    @classmethod
    def of_message(cls, message: pb.Model) -> Self:
        values = values_of(message)
        can = values_of(message.capabilities)
        return cls.model_validate(
            values
            | {f"supports_{name}": value for name, value in can.items()}
            | {
                "origin": message.kind,
                "hub_id": message.hub_id,
                "local_path": message.local_path,
                "fim_family": message.fill_in_the_middle_family,
            }
        )


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
