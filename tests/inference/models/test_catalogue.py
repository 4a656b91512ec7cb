from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.cluster.errors import BadRequest
from services.cluster.fim import FAMILIES
from services.cluster.records import ModelRecord
from services.inference.models.architectures import Architectures, Kind
from services.inference.models.catalogue import TABLE, load_catalogue, offered

CATALOGUE = load_catalogue()
LINES = [json.loads(line) for line in TABLE.read_text(encoding="utf-8").splitlines()]
KNOWN = Architectures.load()
FAMILIES_ASKED_FOR = (
    "qwen2.5-coder/",
    "qwen3/",
    "qwen3-coder/",
    "starcoder2/",
    "deepseek-coder/",
    "deepseek-coder-v2/",
    "codellama/",
    "codestral/",
    "codegemma/",
    "granite-code/",
    "gpt-oss/",
    "glm-4",
    "devstral/",
    "llama-3.",
    "gte/",
    "bge/",
    "nomic-embed/",
    "qwen3-embedding/",
)


@pytest.mark.parametrize("model", CATALOGUE.values(), ids=lambda model: model.name)
def test_vllm_serves_the_model_as_the_table_says(model: ModelRecord) -> None:
    architecture = KNOWN.find(model.architecture)
    assert architecture is not None
    assert model.supports_completion == (not model.supports_embeddings)
    if model.supports_completion:
        assert architecture.kind in (Kind.GENERATE, Kind.MULTIMODAL)
        assert model.kv_values_per_token > 0
    if model.supports_finetune:
        assert architecture.has_lora
        assert architecture.kind is Kind.GENERATE
    assert {model.tool_parser} - {""} <= KNOWN.tool_parsers
    assert {model.reasoning_parser} - {""} <= KNOWN.reasoning_parsers
    assert model.num_heads % model.num_kv_heads == 0
    assert model.num_active_parameters < model.num_parameters
    assert (model.origin, model.local_path, model.host_id) == ("catalogue", "", "")


@pytest.mark.parametrize("model", CATALOGUE.values(), ids=lambda model: model.name)
def test_the_size_on_the_hub_fits_the_number_of_parameters(model: ModelRecord) -> None:
    """Quantized ones take less than 2 bytes for each, those kept in float32 take 4."""
    if model.weights_bytes and not model.quantization:
        assert model.weights_bytes // model.num_parameters in (2, 4)
    elif model.weights_bytes:
        assert model.weights_bytes < 2 * model.num_parameters


def test_the_families_that_were_asked_for_are_there() -> None:
    for family in FAMILIES_ASKED_FOR:
        assert [name for name in CATALOGUE if name.startswith(family)], family


def test_some_model_has_each_capability() -> None:
    flags = [name for name in ModelRecord.model_fields if name.startswith("supports_")]
    for flag in flags:
        assert any(getattr(model, flag) for model in CATALOGUE.values()), flag
    assert any(model.num_active_parameters for model in CATALOGUE.values())
    assert any(model.gated for model in CATALOGUE.values())


def test_every_family_of_the_cursor_is_in_its_table() -> None:
    used = {model.fim_family for model in CATALOGUE.values()} - {""}
    assert used <= {family.family for family in FAMILIES}
    assert len(used) >= 7


def test_what_somebody_added_is_that_model() -> None:
    name = next(iter(CATALOGUE))
    mine = ModelRecord(name=name, origin="local")
    other = ModelRecord(name="other", origin="local")
    models = offered(CATALOGUE, {other.name: other, name: mine})
    assert models[name] is mine
    assert list(models)[:2] == ["other", name]
    assert len(models) == len(CATALOGUE) + 1


def without(field: str) -> Callable[[dict[str, Any]], None]:
    return lambda line: line.pop(field)


def with_(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda line: line.update(changes)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (without("hub_id"), "hub_id: Field required"),
        (with_(price=3), "price: Extra inputs"),
        (with_(context_tokens=0), "context_tokens"),
        (with_(capabilities=["telepathy"]), "capabilities"),
        (with_(architecture="NoSuchForCausalLM"), "does not serve NoSuchForCausalLM"),
        (with_(architecture="BertModel"), "generates no text"),
        (with_(architecture="GPT2LMHeadModel"), "cannot be fine-tuned"),
        (with_(quantization="awq"), "cannot be fine-tuned"),
        (with_(quantization="eetq", capabilities=["completion"]), "quantized by eetq"),
        (with_(capabilities=["embeddings"]), "has a size"),
        (with_(capabilities=["completion", "embeddings"]), "one of the two"),
        (with_(capabilities=["completion", "images"]), "reads no images"),
        (with_(capabilities=["completion", "toolbox"]), "needs chat"),
        (with_(capabilities=["completion", "tools"]), "tools needs the name of a parser"),
        (with_(tool_parser="hermes"), "tools needs the name of a parser"),
        (
            with_(capabilities=["completion", "tools"], tool_parser="none-such"),
            "has no parser none-such",
        ),
        (with_(fim_family="none-such"), "no fill-in-the-middle family none-such"),
        (with_(num_active_parameters=10**15), "more parameters are active"),
        (with_(name="a/b/c"), "no model name"),
    ],
)
def test_a_wrong_line_is_refused_with_a_sentence(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None], word: str
) -> None:
    line = dict(LINES[0])
    spoil(line)
    table = tmp_path / "catalogue.jsonl"
    table.write_text(f"{json.dumps(LINES[1])}\n{json.dumps(line)}\n")
    with pytest.raises(BadRequest, match=word) as refusal:
        load_catalogue(table)
    assert refusal.value.message.endswith(".")


def test_a_line_that_is_no_json_and_one_that_is_there_twice(tmp_path: Path) -> None:
    table = tmp_path / "catalogue.jsonl"
    table.write_text("{")
    with pytest.raises(BadRequest, match="Line 1 of catalogue.jsonl is no model: the line"):
        load_catalogue(table)
    table.write_text(f"{json.dumps(LINES[0])}\n{json.dumps(LINES[0])}\n")
    with pytest.raises(BadRequest, match="Line 2 of .*the name is taken"):
        load_catalogue(table)
