from __future__ import annotations

import pytest

from services.cluster.errors import BadRequest, HearthError, NotFound
from services.cluster.records import AdapterPolicy, AdapterRecord
from services.cluster.registry import ClusterView
from services.inference.agent.deployment_rules import check_deployment
from services.inference.settings import InferenceSettings
from tests.inference.agent.specs import MODEL, a_deployment


def an_adapter(adapter_id: str, model: str) -> AdapterRecord:
    return AdapterRecord(adapter_id=adapter_id, model=model, name="n", rank=8, created_at=1.0)


VIEW = ClusterView(
    models={MODEL.name: MODEL},
    adapters={"mine": an_adapter("mine", MODEL.name), "alien": an_adapter("alien", "other/model")},
)


def check(*, allow_echo: bool = False, **changes: object) -> None:
    settings = InferenceSettings(allow_echo=allow_echo, max_loaded_adapters=2)
    check_deployment(a_deployment().model_copy(update=changes), VIEW, settings)


def test_what_may_be_wanted() -> None:
    check()
    check(num_replicas=4, devices_per_replica=2, context_tokens=2048)
    check(adapter_ids=("mine",), adapter_policy=AdapterPolicy.NAMED, default_adapter_id="mine")
    check(engine="echo", model="any/thing", allow_echo=True)


@pytest.mark.parametrize(
    ("changes", "error", "word"),
    [
        ({"deployment_id": "../x"}, BadRequest, "deployment id"),
        ({"num_replicas": 0}, BadRequest, "num_replicas must be 1 to"),
        ({"devices_per_replica": 1000}, BadRequest, "devices_per_replica"),
        ({"model": "no/such"}, NotFound, "no/such"),
        ({"model": "a:b"}, BadRequest, "no model name"),
        ({"engine": "echo"}, BadRequest, "HEARTH_ALLOW_ECHO=1"),
        ({"engine": "tgi"}, BadRequest, "there is vllm"),
        ({"context_tokens": 4096}, BadRequest, "at most 2048"),
        ({"adapter_ids": ("nobody",)}, NotFound, "nobody"),
        ({"adapter_ids": ("alien",)}, BadRequest, "belongs to other/model"),
        ({"adapter_ids": ("a", "b", "c")}, BadRequest, "at most 2"),
        ({"adapter_policy": AdapterPolicy.NAMED}, BadRequest, "default_adapter_id"),
        ({"default_adapter_id": "alien"}, BadRequest, "belongs to"),
    ],
)
def test_what_may_not_is_told_in_a_sentence(
    changes: dict[str, object], error: type[HearthError], word: str
) -> None:
    with pytest.raises(error) as refusal:
        check(**changes)  # type: ignore[arg-type]
    assert word in refusal.value.message
    assert refusal.value.message.endswith(".")
