from __future__ import annotations

import pytest

from services.inference.models.architectures import SERVED, Architectures, Kind

TABLE = Architectures.load()


@pytest.mark.parametrize(
    ("name", "kind", "has_lora", "can_learn"),
    [
        ("Qwen2ForCausalLM", Kind.GENERATE, True, True),
        ("Qwen3MoeForCausalLM", Kind.GENERATE, True, True),
        ("Starcoder2ForCausalLM", Kind.GENERATE, True, True),
        ("GPT2LMHeadModel", Kind.GENERATE, False, False),
        ("Mistral3ForConditionalGeneration", Kind.MULTIMODAL, True, False),
        ("BertModel", Kind.EMBED, True, False),
        ("NomicBertModel", Kind.EMBED, False, False),
        ("WhisperForConditionalGeneration", Kind.SPEECH, True, False),
        ("Qwen2ForRewardModel", Kind.SCORE, True, False),
        ("MedusaModel", Kind.DRAFT, False, False),
    ],
)
def test_a_class_is_for_something_and_has_adapters_or_not(
    name: str, kind: Kind, has_lora: bool, can_learn: bool
) -> None:
    found = TABLE.find(name)
    assert found is not None
    assert (found.kind, found.has_lora, found.can_learn) == (kind, has_lora, can_learn)


def test_a_class_without_its_head_embeds() -> None:
    assert "Qwen3Model" not in TABLE.by_name
    found = TABLE.find("Qwen3Model")
    assert found is not None
    assert (found.kind, found.can_learn) == (Kind.EMBED, False)


@pytest.mark.parametrize("name", ["NoSuchForCausalLM", "NoSuchModel", "MptForCausalLM", ""])
def test_what_vllm_does_not_know(name: str) -> None:
    assert TABLE.find(name) is None


def test_what_is_served_generates_or_embeds() -> None:
    assert {Kind.GENERATE, Kind.MULTIMODAL, Kind.EMBED} == SERVED


def test_the_tables_of_names() -> None:
    assert {"hermes", "qwen3_coder", "openai", "mistral"} <= TABLE.tool_parsers
    assert {"qwen3", "openai_gptoss"} <= TABLE.reasoning_parsers
    assert {"awq", "gptq", "fp8", "mxfp4", "compressed-tensors"} <= TABLE.quantizations
    assert {"qwen2", "gpt_oss", "deepseek_v2"} <= TABLE.model_types
