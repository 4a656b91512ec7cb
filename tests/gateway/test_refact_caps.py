"""What Refact's agent is offered. A real one reads the old form in tests/e2e/test_clients.py."""

from __future__ import annotations

from typing import Any

import pytest

from services.cluster.records import (
    AdapterPolicy,
    AdapterRecord,
    DeploymentRecord,
    FimTokens,
    ReplicaPhase,
    ReplicaRecord,
)
from services.cluster.registry import ClusterView
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.gateway.refact_caps import caps_for, new_caps, old_caps
from services.gateway.routing import offers, resolve
from tests.gateway.conftest import Gateway, gateway_settings, serving

CODER, CHAT, EMBEDDING = "hearth/coder", "other/chat", "some/embedding"
QWEN = FimTokens(
    family="qwen2.5-coder",
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    end="<|endoftext|>",
    extra_stop=("<|fim_pad|>", "<|repo_name|>"),
)
# What the agents' parsers cannot do without.
OLD_KEYS = {
    "cloud_name",
    "endpoint_style",
    "endpoint_template",
    "tokenizer_path_template",
    "tokenizer_rewrite_path",
    "code_completion_default_model",
    "code_chat_default_model",
    "running_models",
}
NEW_KEYS = {
    "completion": {"endpoint", "models", "default_model"},
    "chat": {"endpoint", "models", "default_model"},
    "embedding": {"endpoint", "models", "default_model"},
    "telemetry_endpoints": {"telemetry_basic_endpoint", "telemetry_basic_retrieve_my_own_endpoint"},
    "tokenizer_endpoints": set(),
}


def replica(model: str, **changes: Any) -> ReplicaRecord:
    fields: dict[str, Any] = {
        "replica_id": f"replica of {model}",
        "deployment_id": model,
        "model": model,
        "engine": "vllm",
        "host_id": "here",
        "phase": ReplicaPhase.READY,
        "context_tokens": 8192,
        "fim": QWEN,
        "started_at": 1,
    }
    return ReplicaRecord(**{**fields, **changes})


def adapter(adapter_id: str, **changes: Any) -> AdapterRecord:
    fields = {"model": CODER, "name": adapter_id, "rank": 8, "created_at": 1, **changes}
    return AdapterRecord(adapter_id=adapter_id, **fields)


def view(
    *replicas: ReplicaRecord,
    adapters: tuple[AdapterRecord, ...] = (),
    policy: AdapterPolicy = AdapterPolicy.LATEST_BEST,
) -> ClusterView:
    """One deployment for each replica, the first one the oldest."""
    deployments = [
        DeploymentRecord(
            deployment_id=replica.deployment_id,
            model=replica.model,
            created_at=created_at,
            updated_at=created_at,
            adapter_policy=policy,
        )
        for created_at, replica in enumerate(replicas)
    ]
    return ClusterView(
        deployments={record.deployment_id: record for record in deployments},
        adapters={record.adapter_id: record for record in adapters},
        replicas={record.replica_id: record for record in replicas},
        caps_version=17,
    )


def both(view: ClusterView) -> tuple[dict[str, Any], dict[str, Any]]:  # old, new
    found = offers(view)
    return old_caps(found, view.caps_version), new_caps(found, view.caps_version)


@pytest.mark.parametrize("replicas", [[], [replica(CODER)], [replica(CODER, fim=None)]])
def test_required_keys_are_there(replicas: list[ReplicaRecord]) -> None:
    old, new = both(view(*replicas))
    assert old.keys() >= OLD_KEYS
    for key, inner in NEW_KEYS.items():
        assert new[key].keys() >= inner
    assert old["cloud_name"] == new["cloud_name"]
    assert old["caps_version"] == new["caps_version"] == 17


def test_no_address_is_left_to_the_agents_makers() -> None:
    """An address that the old parser does not find is theirs."""
    old, new = both(view(replica(CODER)))
    places = {"stats/telemetry-basic", "stats/telemetry-snippets", "stats/rh-stats"}
    assert {value for key, value in old.items() if key.startswith("telemetry_")} == places
    assert set(new["telemetry_endpoints"].values()) == places
    assert "://" not in str((old, new))
    assert old["support_metadata"] is new["support_metadata"] is True, "else it has no name"


def test_while_no_model_answers_none_is_offered() -> None:
    old, new = both(view(replica(CODER, phase=ReplicaPhase.STARTING)))
    assert old["running_models"] == []
    assert old["code_completion_default_model"] == old["code_chat_default_model"] == ""
    assert old["code_completion_models"] == old["code_chat_models"] == {}
    assert new["completion"]["models"] == new["chat"]["models"] == {}
    assert new["completion"]["default_model"] == new["chat"]["default_model"] == ""


def test_a_model_is_described() -> None:
    old, new = both(view(replica(CODER, supports_chat=True)))
    tokens = {
        "fim_prefix": "<|fim_prefix|>",
        "fim_suffix": "<|fim_suffix|>",
        "fim_middle": "<|fim_middle|>",
        "eot": "<|endoftext|>",
        "extra_stop_tokens": ["<|fim_pad|>", "<|repo_name|>"],
        "context_format": "qwen2.5",
        "rag_ratio": 0.5,
    }
    for record in (old["code_completion_models"][CODER], new["completion"]["models"][CODER]):
        assert record["n_ctx"] == 8192
        assert record["supports_scratchpads"] == {"FIM-PSM": tokens}
    for record in (old["code_chat_models"][CODER], new["chat"]["models"][CODER]):
        assert record["supports_scratchpads"] == {"PASSTHROUGH": {}}
    assert old["code_completion_n_ctx"] == 0, "the agent would stop at 2048"
    assert old["tokenizer_rewrite_path"][CODER] == "hearth--coder"
    assert new["tokenizer_endpoints"][CODER] == "tokenizer/hearth--coder"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [(AdapterPolicy.LATEST_BEST, f"{CODER}:good"), (AdapterPolicy.OFF, CODER)],
)
def test_the_default_is_what_auto_means(policy: AdapterPolicy, expected: str) -> None:
    adapters = (
        adapter("good", better_than_base=True),
        adapter("newer-but-worse", better_than_base=False, created_at=2),
    )
    loaded = ("good", "newer-but-worse")
    coder = replica(CODER, supports_chat=True, loaded_adapter_ids=loaded)
    seen = view(coder, adapters=adapters, policy=policy)
    assert resolve(seen, "").name == expected
    old, new = both(seen)
    assert old["code_completion_default_model"] == old["code_chat_default_model"] == expected
    assert old["multiline_code_completion_default_model"] == expected
    assert new["completion"]["default_model"] == new["chat"]["default_model"] == expected


def test_loaded_adapters_are_models_of_their_own() -> None:
    coder = replica(CODER, supports_chat=True, loaded_adapter_ids=("one",))
    old, new = both(view(coder, adapters=(adapter("one"), adapter("elsewhere"))))
    names = {CODER, f"{CODER}:one"}
    assert set(old["running_models"]) == names
    assert old["code_completion_models"].keys() == old["code_chat_models"].keys() == names
    assert new["completion"]["models"].keys() == new["chat"]["models"].keys() == names
    assert new["tokenizer_endpoints"] == dict.fromkeys(names, "tokenizer/hearth--coder")


def test_a_model_is_offered_for_what_it_can_do() -> None:
    """The agent writes the fill-in-the-middle prompt itself, so a model needs the tokens for it."""
    seen = view(
        replica(CHAT, supports_chat=True, fim=None),
        replica(EMBEDDING, embedding_size=384, fim=None),
        replica(CODER),
    )
    old, new = both(seen)
    assert list(old["code_completion_models"]) == list(new["completion"]["models"]) == [CODER]
    assert list(old["code_chat_models"]) == list(new["chat"]["models"]) == [CHAT]
    assert old["code_completion_default_model"] == CODER
    assert old["code_chat_default_model"] == CHAT
    assert new["embedding"]["models"] == {EMBEDDING: {"n_ctx": 8192, "size": 384}}
    assert new["embedding"]["default_model"] == old["default_embeddings_model"] == EMBEDDING
    assert (old["size_embeddings"], old["embedding_n_ctx"]) == (384, 8192)


@pytest.mark.parametrize(
    ("family", "context_tokens", "scratchpad", "context_format"),
    [
        ("starcoder2", 8192, "FIM-PSM", "starcoder"),
        ("starcoder2", 1024, "FIM-PSM", None),
        ("santacoder", 8192, "FIM-PSM", None),
        ("seed-coder", 8192, "FIM-SPM", None),
    ],
)
def test_families_and_short_contexts(
    family: str, context_tokens: int, scratchpad: str, context_format: str | None
) -> None:
    fim = QWEN.model_copy(update={"family": family})
    old, _ = both(view(replica(CODER, fim=fim, context_tokens=context_tokens)))
    record = old["code_completion_models"][CODER]
    assert record["default_scratchpad"] == scratchpad
    assert record["supports_scratchpads"][scratchpad].get("context_format") == context_format


def test_each_version_gets_its_form() -> None:
    found = offers(view(replica(CODER)))
    old, new = old_caps(found, 17), new_caps(found, 17)
    assert caps_for("refact-lsp 0.10.14", found, 17) == old
    assert caps_for("refact-lsp 0.10.15", found, 17) == new
    assert caps_for("refact-lsp 1.0.0", found, 17) == new
    assert caps_for("", found, 17) == {**old, **new} == {**new, **old}


@pytest.mark.parametrize(
    ("path", "user_agent", "has", "lacks"),
    [
        ("/refact-caps", "refact-lsp 0.10.14", {"running_models"}, {"completion"}),
        ("/refact-caps", "refact-lsp 0.10.30", {"completion"}, {"running_models"}),
        ("/refact-caps", "", {"completion", "running_models"}, set()),
        ("/coding_assistant_caps.json", "", {"running_models"}, {"completion"}),
    ],
)
async def test_routes(
    gateway: Gateway, path: str, user_agent: str, has: set[str], lacks: set[str]
) -> None:
    async with gateway.client() as client:
        answer = await client.get(path, headers={"User-Agent": user_agent})
    assert answer.status_code == 200
    assert answer.json().keys() >= has
    assert not answer.json().keys() & lacks


async def test_without_a_model_the_agent_is_told_to_come_again(
    store: Store, settings: ClusterSettings
) -> None:
    """Caps without a model would be kept for an hour."""
    async with serving(gateway_settings(settings), store) as gateway, gateway.client() as client:
        for path in ("/refact-caps", "/coding_assistant_caps.json"):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert answer.json()["detail"] == "No model is deployed yet."
