from __future__ import annotations

import pytest

from services.cluster.identity import Scope
from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.pb.v1 import inference_pb2_grpc as rpc
from services.cluster.records import ModelRecord
from services.inference.agent.messages import model_message
from services.inference.models.catalogue import load_catalogue
from services.inference.weights.downloads import WeightsState, WeightsStatus
from tests.gateway.conftest import Gateway
from tests.gateway.services import behind

MINE = ModelRecord(
    name="mine/coder",
    origin="local",
    local_path="/models/mine",
    architecture="Qwen2ForCausalLM",
    fim_family="qwen2.5-coder",
    supports_finetune=True,
    host_id="here",
)


class TwoPages(rpc.InferenceServicer):
    """Answers one model a page."""

    def __init__(self, models: list[pb.Model]) -> None:
        self._models = models

    async def ListModels(
        self, request: pb.ListModelsRequest, context: object
    ) -> pb.ListModelsResponse:
        number = int(request.page_token or 0)
        last = number == len(self._models) - 1
        return pb.ListModelsResponse(
            models=[self._models[number]], next_page_token="" if last else str(number + 1)
        )


async def test_models_that_may_be_deployed(gateway: Gateway) -> None:
    known = load_catalogue()["qwen3-coder/30b-a3b-instruct"]
    here = WeightsStatus(WeightsState.PRESENT, 7, 7)
    absent = WeightsStatus(WeightsState.ABSENT, 0, known.weights_bytes)
    models = [model_message(MINE, here), model_message(known, absent)]
    agent = TwoPages(models)  # type: ignore[abstract]
    async with behind(gateway, "inference", agent), gateway.client(Scope.ADMIN) as client:
        mine, listed = (await client.get("/api/v1/models")).json()
    assert (mine["name"], mine["origin"], mine["local_path"]) == (
        "mine/coder",
        "local",
        "/models/mine",
    )
    assert (mine["weights"]["state"], mine["supports_finetune"]) == ("present", True)
    assert mine["fim_family"] == "qwen2.5-coder"
    assert (listed["origin"], listed["hub_id"]) == ("catalogue", known.hub_id)
    assert (listed["weights"]["state"], listed["weights"]["present_bytes"]) == ("absent", 0)
    assert listed["weights"]["total_bytes"] == known.weights_bytes
    for field in ModelRecord.model_fields.keys() & listed.keys() - {"local_path"}:
        assert listed[field] == getattr(known, field), field


async def test_without_an_agent_there_is_no_list(gateway: Gateway) -> None:
    async with gateway.client(Scope.ADMIN) as client:
        answer = await client.get("/api/v1/models")
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


@pytest.mark.parametrize("scope", [Scope.COMPLETIONS, Scope.MODELS_READ, None])
async def test_the_list_is_for_administrators(gateway: Gateway, scope: Scope | None) -> None:
    async with gateway.client(scope) as client:
        assert (await client.get("/api/v1/models")).status_code in (401, 403)
