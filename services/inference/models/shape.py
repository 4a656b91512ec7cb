"""The shape of a model that config.json tells: context, layers, heads, what a token's cache takes.

As vLLM reads it (ModelArchConfigConvertorBase and _get_and_verify_max_len of 0.32), so that what
the agent plans with is what the engine does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.cluster.errors import BadRequest

_TEXT_CONFIGS = ("text_config", "language_config", "llm_config")
_CONTEXT = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers")
_HEADS = ("num_attention_heads", "n_head")
_KV_HEADS = (
    "num_key_value_heads",
    "n_head_kv",
    "num_kv_heads",
    "multi_query_group_num",
    "num_attention_groups",
)
_HIDDEN = ("hidden_size", "n_embd", "d_model")
_INNER = ("intermediate_size", "n_inner", "ffn_hidden_size")
_EXPERT_INNER = ("moe_intermediate_size", "shared_expert_intermediate_size")
_GPT_2 = frozenset({"gpt2", "gpt_bigcode"})  # four times as wide inside where they do not say
_VOCABULARY_STEP = 64  # vLLM fills it up to a multiple
_EXPERTS = ("num_experts", "moe_num_experts", "n_routed_experts", "num_local_experts")
_EXPERTS_PER_TOKEN = ("num_experts_per_tok", "num_experts_per_token", "moe_top_k", "moe_topk")
_MOST = 100_000_000
_LAYER_TYPES = ("layer_types", "layers_block_type")
# With these, max_position_embeddings is the length that the scaling leads to; with others, the
# length before it.
_SCALED_ALREADY = frozenset(
    {"su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"}
)


@dataclass(frozen=True)
class ModelShape:
    """0 for what the config does not say. `context_tokens` is what prompt and answer share.

    Inner widths and vocabulary, which devices cut beside the heads, are multiples of
    `width_divisor`.
    """

    context_tokens: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    hidden_size: int
    kv_values_per_token: int
    width_divisor: int
    num_experts: int
    num_experts_per_token: int


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of the language model inside one for images too; else the whole config."""
    inner = (config.get(name) for name in _TEXT_CONFIGS)
    return next((found for found in inner if isinstance(found, dict)), config)


def read_shape(config: Mapping[str, Any], tokenizer_config: Mapping[str, Any]) -> ModelShape:
    text = text_config(config)
    num_heads = _count(text, *_HEADS)
    return ModelShape(
        context_tokens=_context_tokens(text, tokenizer_config),
        num_layers=_count(text, *_LAYERS),
        num_heads=num_heads,
        num_kv_heads=_num_kv_heads(text, num_heads),
        hidden_size=_count(text, *_HIDDEN),
        kv_values_per_token=_kv_values_per_token(text, num_heads),
        width_divisor=_width_divisor(text),
        num_experts=_count(text, *_EXPERTS),
        num_experts_per_token=_count(text, *_EXPERTS_PER_TOKEN),
    )


def _context_tokens(text: Mapping[str, Any], tokenizer_config: Mapping[str, Any]) -> int:
    tokens = _count(text, "model_max_length") or min(
        (value for name in _CONTEXT if (value := _count(text, name))), default=0
    )
    limit = tokenizer_config.get("model_max_length")  # may be 1e30: no limit
    if tokens and isinstance(limit, int | float) and 0 < limit < tokens:
        tokens = int(limit)
    return int(min(tokens * _rope_factor(text), _MOST))


def _rope_factor(text: Mapping[str, Any]) -> float:
    rope = text.get("rope_scaling") or text.get("rope_parameters")
    if not isinstance(rope, dict) or "gemma3" in str(text.get("model_type")):
        return 1.0
    kind = str(rope.get("rope_type") or rope.get("type") or "default")
    factor = rope.get("factor")
    if kind in _SCALED_ALREADY or not isinstance(factor, int | float) or not factor > 0:  # or NaN
        return 1.0
    return float(min(factor, _MOST))


def _num_kv_heads(text: Mapping[str, Any], num_heads: int) -> int:
    """1 where all heads read one latent vector: every device of a layer keeps all of it."""
    if text.get("multi_query") is True or _count(text, "kv_lora_rank"):  # GPTBigCode; DeepSeek
        return 1
    return _count(text, *_KV_HEADS) or num_heads


def _kv_values_per_token(text: Mapping[str, Any], num_heads: int) -> int:
    """Keys and values of every layer with attention; a latent one keeps both in one vector."""
    num_layers = _num_attention_layers(text)
    if latent := _count(text, "kv_lora_rank"):
        return min(num_layers * (latent + _count(text, "qk_rope_head_dim")), _MOST)
    head_size = _count(text, "head_dim") or _count(text, *_HIDDEN) // max(num_heads, 1)
    return min(2 * num_layers * _num_kv_heads(text, num_heads) * head_size, _MOST)


def _num_attention_layers(text: Mapping[str, Any]) -> int:
    """A layer of linear attention or state space keeps the same few bytes for any length."""
    for name in _LAYER_TYPES:
        kinds = text.get(name)
        if isinstance(kinds, list) and kinds:
            return sum(str(k).endswith("attention") and k != "linear_attention" for k in kinds)
    num_layers = _count(text, *_LAYERS)
    return num_layers // (_count(text, "full_attention_interval") or 1)


def _width_divisor(text: Mapping[str, Any]) -> int:
    is_gpt_2 = str(text.get("model_type")) in _GPT_2
    inner = _count(text, *_INNER) or (4 * _count(text, *_HIDDEN) if is_gpt_2 else 0)
    vocabulary = _count(text, "vocab_size")
    experts = [_count(text, name) for name in _EXPERT_INNER]
    if not vocabulary or not (inner or any(experts)):
        return 0
    filled_up = -(-vocabulary // _VOCABULARY_STEP) * _VOCABULARY_STEP
    return math.gcd(filled_up, inner, *experts)


def _count(config: Mapping[str, Any], *names: str) -> int:
    """The first of these fields that is a positive whole number; 0 for none.

    More than `_MOST` of anything is no model's, and would not fit where it is recorded.
    """
    values = (config.get(name) for name in names)
    return next((v for v in values if type(v) is int and 0 < v <= _MOST), 0)


def quantization(config: Mapping[str, Any], served: frozenset[str], vllm: str) -> tuple[str, int]:
    """Method and bits of a value; ("", 0) for none. Raises BadRequest for one not in `served`."""
    found = config.get("quantization_config") or text_config(config).get("quantization_config")
    if not isinstance(found, dict):
        return "", 0
    method = str(found.get("quant_method", ""))
    if method not in served:
        raise BadRequest(
            f"The weights are quantized by {method or 'a method without a name'}, which vLLM"
            f" {vllm} does not serve; it serves {', '.join(sorted(served))}."
        )
    return method, _bits(found, method)


def _bits(found: Mapping[str, Any], method: str) -> int:
    groups = found.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        if isinstance(group, dict) and isinstance(group.get("weights"), dict):
            return _count(group["weights"], "num_bits") or 8
    return _count(found, "bits", "w_bit") or (4 if "fp4" in method else 8)
