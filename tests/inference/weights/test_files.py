from __future__ import annotations

import pytest

from services.cluster.errors import BadRequest
from services.inference.weights.files import choose_files

BASE = ["config.json", "tokenizer.json"]


@pytest.mark.parametrize(
    ("paths", "weights"),
    [
        (["model.safetensors"], ["model.safetensors"]),
        (["consolidated.safetensors", "model.safetensors"], ["model.safetensors"]),
        (
            ["model.safetensors.index.json", "model-00001-of-00001.safetensors"]
            + ["consolidated.safetensors", "original/model-00001-of-00001.safetensors"],
            ["model-00001-of-00001.safetensors"],
        ),
        (["model-1-of-1.safetensors"], ["model-1-of-1.safetensors"]),
        (
            ["2_Dense/model.safetensors", "model.safetensors"],
            ["2_Dense/model.safetensors", "model.safetensors"],
        ),
    ],
)
def test_weights_are_taken_once(paths: list[str], weights: list[str]) -> None:
    assert list(choose_files([*BASE, *paths], "It").weights) == weights


@pytest.mark.parametrize(
    "path",
    ["generation_config.json", "tokenizer_config.json", "vocab.json", "merges.txt"]
    + ["chat_template.jinja", "additional_chat_templates/tool_use.jinja", "modules.json"]
    + ["1_Pooling/config.json", "config_sentence_transformers.json", "README.md", "LICENSE"]
    + ["tokenizer.model", "special_tokens_map.json", "preprocessor_config.json"],
)
def test_small_files_of_a_model(path: str) -> None:
    assert path in choose_files([*BASE, "model.safetensors", path], "It").small


@pytest.mark.parametrize(
    "path",
    ["modeling_x.py", "README.py", "pytorch_model.bin", "training_args.bin", "onnx/model.onnx"]
    + ["../config.json", "a/b/config.json", "optimizer.pt", "LICENSE.so", ".git/config"],
)
def test_code_pickles_and_what_serves_nothing_stay_away(path: str) -> None:
    chosen = choose_files([*BASE, "model.safetensors", path], "It")
    assert path not in (*chosen.small, *chosen.weights)


def test_no_config_is_no_model() -> None:
    with pytest.raises(BadRequest, match=r"It has no config\.json.*It has model\.safetensors\."):
        choose_files(["model.safetensors"], "It")
