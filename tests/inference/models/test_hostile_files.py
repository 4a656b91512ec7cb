"""Whatever is in a model's files, it is read or refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.cluster.errors import BadRequest
from services.inference.agent.messages import model_message
from services.inference.models.reading import read_model
from services.inference.weights.downloads import WeightsState, WeightsStatus
from tests.inference.models.model_folders import write_model

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.floats()
    | st.text(max_size=5)
)
ANYTHING = LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(st.text(max_size=5), LEAVES)
NESTED = st.dictionaries(
    st.sampled_from(["rope_type", "type", "factor", "quant_method", "bits", "config_groups"]),
    ANYTHING,
)
# The folder is written once and its file anew for each example; how long that takes is no matter.
SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FIELDS = """
architectures model_type auto_map max_position_embeddings model_max_length num_hidden_layers
num_attention_heads num_key_value_heads hidden_size head_dim kv_lora_rank layer_types num_experts
num_experts_per_tok full_attention_interval rope_scaling quantization_config text_config torch_dtype
"""
CONFIG = st.dictionaries(st.sampled_from(FIELDS.split()), ANYTHING | NESTED)

PRESENT = WeightsStatus(WeightsState.PRESENT)


def refusal(folder: Path) -> str:
    """A sentence; "" for a model that can be recorded and told."""
    try:
        model_message(read_model("m", folder, origin="local"), PRESENT)
    except BadRequest as problem:
        return problem.message
    return ""


@given(config=CONFIG)
@example(config={"model_type": []})
@example(config={"rope_scaling": {"rope_type": ["linear"], "factor": 2.0}})
@example(config={"rope_scaling": {"rope_type": "linear", "factor": float("nan")}})
@example(config={"rope_scaling": {"rope_type": "linear", "factor": 10**400}})
@settings(SHARED, max_examples=150)
def test_any_config(tmp_path: Path, config: dict[str, Any]) -> None:
    folder = tmp_path / "m"
    if not folder.exists():
        write_model(folder)
    usual = {
        "architectures": ["Qwen2ForCausalLM"],
        "max_position_embeddings": 2048,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "hidden_size": 64,
    }
    (folder / "config.json").write_text(json.dumps(usual | config))
    assert refusal(folder)[-1:] in ("", ".")


@given(values=st.dictionaries(st.sampled_from(["chat_template", "bos_token"]), ANYTHING))
@settings(SHARED, max_examples=50)
def test_any_tokenizer_config(tmp_path: Path, values: dict[str, Any]) -> None:
    folder = tmp_path / "m"
    if not folder.exists():
        write_model(folder)
        (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps(values))
    assert refusal(folder)[-1:] in ("", ".")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer_config.json", b'{"chat_template": [1, {"name": "default"}]}'),
        ("tokenizer_config.json", b'{"chat_template": "{{ x }}", "bos_token": {"id": 1}}'),
        ("chat_template.jinja", b"\xff\xfe"),
        ("chat_template.json", b"["),
        ("modules.json", b"{"),
        ("modules.json", b'[{"path": "\\u0000"}, 3]'),
        ("config.json", b"\xff"),
        ("sentence_bert_config.json", b'{"max_seq_length": 1e999}'),
        (
            "config.json",
            b'{"architectures": ["Qwen2ForCausalLM"], "max_position_embeddings": 9,'
            b' "num_hidden_layers": 99999999, "num_attention_heads": 9, "hidden_size": 99999999}',
        ),
        (
            "config.json",
            b'{"architectures": ["Qwen2ForCausalLM"], "max_position_embeddings": 1%s}'
            % (b"0" * 40),
        ),
        (
            "config.json",
            b'{"architectures": ["Qwen2ForCausalLM"], "max_position_embeddings": 9,'
            b' "rope_scaling": {"type": "linear", "factor": Infinity}}',
        ),
        ("tokenizer.json", b'{"added_tokens": [1, {"id": 2}]}'),
        ("model.safetensors.index.json", b'{"weight_map": {"a": 1}}'),
        ("model.safetensors.index.json", b'{"weight_map": {}}'),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "../../secret.safetensors"}}'),
    ],
)
def test_broken_files(tmp_path: Path, name: str, content: bytes) -> None:
    folder = write_model(tmp_path / "m")
    if name != "chat_template.jinja":
        (folder / "chat_template.jinja").unlink()
    (folder / name).write_bytes(content)
    assert refusal(folder)[-1:] in ("", ".")
