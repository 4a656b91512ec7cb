from __future__ import annotations

from typing import Any

import pytest

from services.cluster.errors import BadRequest
from services.inference.models.shape import quantization, read_shape

LLAMA: dict[str, Any] = {
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "max_position_embeddings": 8192,
}


@pytest.mark.parametrize(
    ("change", "tokenizer", "context"),
    [
        ({}, {}, 8192),
        ({}, {"model_max_length": 4096}, 4096),
        ({}, {"model_max_length": 1e30}, 8192),
        ({"seq_length": 2048}, {}, 2048),
        ({"model_max_length": 16384}, {}, 16384),
        ({"rope_scaling": {"rope_type": "linear", "factor": 4.0}}, {}, 32768),
        ({"rope_scaling": {"type": "dynamic", "factor": 2}}, {}, 16384),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, {}, 8192),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, {}, 8192),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}, {}, 8192),
        ({"rope_scaling": {"rope_type": "linear", "factor": None}}, {}, 8192),
        (
            {"model_type": "gemma3_text", "rope_scaling": {"rope_type": "linear", "factor": 8}},
            {},
            8192,
        ),
        ({"max_position_embeddings": None}, {}, 0),
        ({"max_position_embeddings": True}, {}, 0),
    ],
)
def test_the_context_is_scaled_only_where_the_config_means_it(
    change: dict[str, Any], tokenizer: dict[str, Any], context: int
) -> None:
    assert read_shape({**LLAMA, **change}, tokenizer).context_tokens == context


@pytest.mark.parametrize(
    ("change", "values"),
    [
        ({}, 2 * 32 * 8 * 128),
        ({"head_dim": 64}, 2 * 32 * 8 * 64),
        ({"num_key_value_heads": None}, 2 * 32 * 32 * 128),
        ({"multi_query": True}, 2 * 32 * 1 * 128),
        ({"kv_lora_rank": 512, "qk_rope_head_dim": 64}, 32 * (512 + 64)),
        ({"full_attention_interval": 4}, 2 * 8 * 8 * 128),
        ({"layer_types": ["linear_attention", "full_attention"] * 16}, 2 * 16 * 8 * 128),
        ({"layer_types": ["sliding_attention", "full_attention"] * 16}, 2 * 32 * 8 * 128),
        ({"layer_types": ["mamba"] * 28 + ["attention"] * 4}, 2 * 4 * 8 * 128),
        ({"num_hidden_layers": None}, 0),
    ],
)
def test_what_the_cache_keeps_of_a_token(change: dict[str, Any], values: int) -> None:
    assert read_shape({**LLAMA, **change}, {}).kv_values_per_token == values


@pytest.mark.parametrize(
    ("change", "num_kv_heads"),
    [
        ({}, 8),
        ({"num_key_value_heads": None}, 32),
        ({"multi_query": True}, 1),
        ({"kv_lora_rank": 512, "qk_rope_head_dim": 64, "num_key_value_heads": 32}, 1),
    ],
)
def test_how_many_heads_have_keys_and_values_of_their_own(
    change: dict[str, Any], num_kv_heads: int
) -> None:
    assert read_shape({**LLAMA, **change}, {}).num_kv_heads == num_kv_heads


@pytest.mark.parametrize(
    ("change", "divisor"),
    [
        ({}, 0),
        ({"vocab_size": 151936, "intermediate_size": 8960}, 128),
        ({"vocab_size": 30522, "intermediate_size": 3072}, 192),
        ({"vocab_size": 32016, "intermediate_size": 13824}, 64 * 3),
        ({"vocab_size": 49152, "model_type": "gpt_bigcode"}, 16384),
        ({"vocab_size": 151936, "intermediate_size": 6144, "moe_intermediate_size": 768}, 128),
        ({"vocab_size": 151936, "moe_intermediate_size": 96}, 32),
        ({"vocab_size": 151936}, 0),
        ({"intermediate_size": 8960}, 0),
    ],
)
def test_what_every_width_is_a_multiple_of(change: dict[str, Any], divisor: int) -> None:
    assert read_shape({**LLAMA, **change}, {}).width_divisor == divisor


def test_the_names_of_gpt_2_and_falcon() -> None:
    found = read_shape(
        {"n_layer": 2, "n_head": 8, "n_embd": 64, "n_positions": 1024, "n_head_kv": 4}, {}
    )
    assert (found.num_layers, found.num_heads, found.num_kv_heads) == (2, 8, 4)
    assert (found.context_tokens, found.kv_values_per_token) == (1024, 2 * 2 * 4 * 8)


def test_a_language_model_inside_one_for_images() -> None:
    found = read_shape({"text_config": LLAMA, "vision_config": {"num_hidden_layers": 3}}, {})
    assert (found.num_layers, found.context_tokens) == (32, 8192)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, ("", 0)),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, ("awq", 4)),
        ({"quantization_config": {"quant_method": "gptq", "bits": 8}}, ("gptq", 8)),
        ({"quantization_config": {"quant_method": "fp8"}}, ("fp8", 8)),
        ({"quantization_config": {"quant_method": "mxfp4"}}, ("mxfp4", 4)),
        (
            {
                "quantization_config": {
                    "quant_method": "compressed-tensors",
                    "config_groups": {"group_0": {"weights": {"num_bits": 4}}},
                }
            },
            ("compressed-tensors", 4),
        ),
        (
            {"text_config": {"quantization_config": {"quant_method": "awq", "w_bit": 4}}},
            ("awq", 4),
        ),
    ],
)
def test_how_the_weights_are_quantized(config: dict[str, Any], found: tuple[str, int]) -> None:
    served = frozenset({"awq", "gptq", "fp8", "mxfp4", "compressed-tensors"})
    assert quantization(config, served, "1.0") == found


def test_a_quantization_that_is_not_served() -> None:
    config = {"quantization_config": {"quant_method": "eetq"}}
    with pytest.raises(BadRequest, match="quantized by eetq, which vLLM 1.0 does not serve"):
        quantization(config, frozenset({"awq"}), "1.0")
