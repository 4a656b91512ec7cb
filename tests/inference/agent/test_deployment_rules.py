from __future__ import annotations

import pytest

from services.cluster.errors import BadRequest, HearthError, NotFound
from services.cluster.records import AdapterPolicy, AdapterRecord
from services.cluster.registry import ClusterView
from services.inference.agent.deployment_rules import check_deployment, check_device_kind
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
        ({"devices_per_replica": 3}, BadRequest, "try 1, 2, 4, 8, 16"),
        ({"max_running_requests": -1}, BadRequest, "max_running_requests must be 0 to"),
        ({"speculative_tokens": 99}, BadRequest, "speculative_tokens must be 0 to"),
        ({"quantization": "int3"}, BadRequest, "must be empty or fp8"),
        ({"quantization": "bitsandbytes"}, BadRequest, "AWQ"),
        ({"device_bytes": 5, "kv_cache_bytes": 5}, BadRequest, "left for the weights"),
        ({"context_tokens": 3}, BadRequest, "at least 16"),
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


def test_an_embedding_model_guesses_no_tokens() -> None:
    embeds = MODEL.model_copy(update={"supports_completion": False})
    view = ClusterView(models={MODEL.name: embeds})
    wanted = a_deployment(speculative_tokens=4)
    with pytest.raises(BadRequest, match="makes embeddings") as refusal:
        check_deployment(wanted, view, InferenceSettings())
    assert refusal.value.param == "speculative_tokens"


@pytest.mark.parametrize(
    ("field", "value"),
    [("quantization", "fp8"), ("devices_per_replica", 2), ("speculative_tokens", 4)],
)
def test_what_processors_cannot_do(field: str, value: object) -> None:
    wanted = a_deployment().model_copy(update={field: value})
    check_device_kind(wanted, "cuda")
    check_device_kind(wanted, "")
    with pytest.raises(BadRequest) as refusal:
        check_device_kind(wanted, "cpu")
    assert refusal.value.param == field
