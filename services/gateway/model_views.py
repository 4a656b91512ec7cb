"""Models that may be deployed, with the state of their weights, as /api/v1 shows them."""

from __future__ import annotations

from typing import Self

from services.cluster.pb.v1 import inference_pb2 as pb
from services.gateway.message_view import MessageView
from services.gateway.proto_values import values_of
from services.gateway.views import ModelView


class WeightsView(MessageView):
    """`state`: absent, downloading, present or failed; `detail` is why it failed."""

    state: str | None
    present_bytes: int
    total_bytes: int
    detail: str


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
                "weights": values_of(message.weights),
            }
        )
