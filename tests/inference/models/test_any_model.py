"""A model that no table of ours knows: what its files say, what is asked for, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from services.cluster.errors import BadRequest
from services.cluster.records import ModelRecord
from services.inference.models.overrides import ModelOverrides
from services.inference.models.reading import read_model
from tests.inference.models.model_folders import write_model


def read(folder: Path, **given: Any) -> ModelRecord:
    return read_model("some/model", folder, origin="local", overrides=ModelOverrides(**given))


def without_weights(folder: Path) -> Path:
    for place in folder.glob("*.safetensors"):
        place.unlink()
    return folder


def test_code_of_its_own_is_no_matter_where_vllm_has_the_class(tmp_path: Path) -> None:
    found = read(
        write_model(
            tmp_path / "m",
            architectures=["DeepseekV2ForCausalLM"],
            model_type="deepseek_v2",
            auto_map={"AutoConfig": "configuration_deepseek.DeepseekV2Config"},
            kv_lora_rank=32,
            qk_rope_head_dim=8,
        )
    )
    assert found.kv_values_per_token == 3 * 40


def test_sentence_transformers_makes_an_embedding_model_of_a_decoder(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", architectures=["Qwen3ForCausalLM"], model_type="qwen3")
    modules = [{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Dense"}, {"path": "../elsewhere"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    for module, config in (
        ("1_Pooling", {"word_embedding_dimension": 64}),
        ("2_Dense", {"out_features": 32}),
    ):
        (folder / module).mkdir()
        (folder / module / "config.json").write_text(json.dumps(config))
    found = read(folder)
    assert (found.supports_embeddings, found.supports_completion) == (True, False)
    assert not found.supports_chat
    assert not found.supports_finetune
    assert found.embedding_size == 32
    assert found.kv_values_per_token > 0
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 512}')
    assert read(folder).context_tokens == 512


def test_an_encoder_says_its_size(tmp_path: Path) -> None:
    found = read(write_model(tmp_path / "m", architectures=["BertModel"], model_type="bert"))
    assert (found.embedding_size, found.kv_values_per_token) == (64, 0)


def test_quantized_weights_take_what_they_take_and_are_not_trained(tmp_path: Path) -> None:
    folder = without_weights(
        write_model(tmp_path / "m", quantization_config={"quant_method": "awq", "bits": 4})
    )
    save_file({"q.qweight": np.zeros((4, 16), np.int32)}, folder / "model.safetensors")
    found = read(folder)
    assert (found.quantization, found.num_parameters) == ("awq", 512)
    assert found.weights_bytes == (folder / "model.safetensors").stat().st_size
    assert not found.supports_finetune


def test_of_experts_only_some_take_part(tmp_path: Path) -> None:
    folder = without_weights(
        write_model(
            tmp_path / "m",
            architectures=["Qwen3MoeForCausalLM"],
            model_type="qwen3_moe",
            num_experts=8,
            num_experts_per_tok=2,
        )
    )
    experts = {f"l.0.mlp.experts.{n}.up.weight": np.zeros((10,), np.float16) for n in range(8)}
    save_file({**experts, "norm": np.zeros((5,), np.float16)}, folder / "model.safetensors")
    found = read(folder)
    assert (found.num_parameters, found.num_active_parameters) == (85, 25)


def test_a_model_for_images_chats_and_is_not_trained(tmp_path: Path) -> None:
    found = read(
        write_model(
            tmp_path / "m",
            architectures=["Mistral3ForConditionalGeneration"],
            model_type="mistral3",
            vision_config={},
        )
    )
    assert (found.supports_images, found.supports_finetune) == (True, False)
    assert found.supports_chat


def test_parsers_are_those_of_the_family(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", architectures=["Qwen3ForCausalLM"], model_type="qwen3")
    (folder / "chat_template.jinja").write_text("{{ tools }}<tool_call>{{ '<think>' }}")
    found = read(folder)
    assert (found.tool_parser, found.reasoning_parser) == ("hermes", "qwen3")
    assert (found.supports_tools, found.supports_reasoning) == (True, True)


def test_what_a_person_says_counts(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    (folder / "chat_template.jinja").unlink()
    assert not read(folder).supports_chat
    found = read(
        folder,
        context_tokens=1024,
        chat_template="{{ messages }}",
        tool_parser="hermes",
        reasoning_parser="deepseek_r1",
        fim_family="qwen2.5-coder",
    )
    assert (found.context_tokens, found.fim_family) == (1024, "qwen2.5-coder")
    assert (found.supports_chat, found.chat_template) == (True, "{{ messages }}")
    assert (found.tool_parser, found.supports_tools) == ("hermes", True)
    assert (found.reasoning_parser, found.supports_reasoning) == ("deepseek_r1", True)


def test_what_cannot_be_read_is_asked_for_and_taken(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", max_position_embeddings=None)
    with pytest.raises(BadRequest, match="give context_tokens") as refusal:
        read(folder)
    assert refusal.value.param == "context_tokens"
    assert read(folder, context_tokens=4096).context_tokens == 4096


@pytest.mark.parametrize(
    ("given", "param", "word"),
    [
        ({"context_tokens": 4096}, "context_tokens", "made for 2048 at most"),
        ({"context_tokens": -1}, "context_tokens", "negative"),
        ({"fim_family": "none-such"}, "fim_family", "there is qwen2.5-coder"),
        ({"fim_family": "codestral"}, "fim_family", "has no <s>"),
        ({"tool_parser": "none-such"}, "tool_parser", "it has apertus"),
        ({"reasoning_parser": "none-such"}, "reasoning_parser", "vLLM has no parser"),
        ({"chat_template": "{% if %}"}, "chat_template", "chat template cannot be read"),
    ],
)
def test_what_a_person_says_is_checked(
    tmp_path: Path, given: dict[str, Any], param: str, word: str
) -> None:
    with pytest.raises(BadRequest, match=word) as refusal:
        read(write_model(tmp_path / "m"), **given)
    assert refusal.value.param == param


@pytest.mark.parametrize("name", ["chat_template.json", "tokenizer_config.json"])
def test_where_a_chat_template_may_be(tmp_path: Path, name: str) -> None:
    folder = write_model(tmp_path / "m")
    (folder / "chat_template.jinja").unlink()
    (folder / name).write_text(json.dumps({"chat_template": "{{ messages[0].content }}"}))
    assert read(folder).supports_chat
