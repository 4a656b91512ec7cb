from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from services.cluster.errors import BadRequest
from services.inference.models.weight_files import (
    INDEX_FILE,
    is_model_folder,
    num_values,
    weight_names,
)


def write_index(folder: Path, *names: str) -> None:
    shards = {f"tensor.{number}": name for number, name in enumerate(names)}
    (folder / INDEX_FILE).write_text(json.dumps({"weight_map": shards}))


def test_the_index_says_which_files_count(tmp_path: Path) -> None:
    names = {"a.safetensors", "b.safetensors", "other.safetensors", "README"}
    assert weight_names(tmp_path, names) == ["a.safetensors", "b.safetensors", "other.safetensors"]
    write_index(tmp_path, "b.safetensors", "a.safetensors", "a.safetensors")
    assert weight_names(tmp_path, names) == ["a.safetensors", "b.safetensors"]


def test_the_same_weights_in_mistrals_own_layout_do_not_count_twice(tmp_path: Path) -> None:
    names = {"consolidated.safetensors", "model.safetensors"}
    assert weight_names(tmp_path, names) == ["model.safetensors"]
    assert weight_names(tmp_path, {"consolidated.safetensors"}) == ["consolidated.safetensors"]


@pytest.mark.parametrize(
    ("names", "word"),
    [
        ({"README.md", "model.gguf"}, r"only a GGUF file \(model.gguf\)"),
        ({"pytorch_model-1.bin", "config.json"}, r"pickle checkpoint \(pytorch_model-1.bin\)"),
        ({"consolidated.00.pth"}, "pickle checkpoint"),
        ({"config.json"}, "no .safetensors file"),
    ],
)
def test_other_formats_are_refused_by_name(tmp_path: Path, names: set[str], word: str) -> None:
    with pytest.raises(BadRequest, match=word):
        weight_names(tmp_path, names)


def test_a_file_that_the_index_names_is_missing(tmp_path: Path) -> None:
    write_index(tmp_path, "a.safetensors", "b.safetensors", "c.safetensors")
    with pytest.raises(BadRequest, match=r"names b.safetensors, .* \(2 of 3 files"):
        weight_names(tmp_path, {"a.safetensors"})


def test_an_index_that_names_nothing_is_refused(tmp_path: Path) -> None:
    write_index(tmp_path)
    with pytest.raises(BadRequest, match=r"weight_map of model.safetensors.index.json is empty"):
        weight_names(tmp_path, {"a.safetensors"})


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda place: place.symlink_to("gone")])
def test_what_is_no_file_is_not_opened(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Opening a pipe would wait, with the interpreter's lock, for somebody who writes into it."""
    make(tmp_path / "m.safetensors")
    with pytest.raises(BadRequest, match=r"m\.safetensors is no file"):
        num_values(tmp_path, ["m.safetensors"], 0)


@pytest.mark.parametrize("cut", [1, 8, 60])
def test_a_file_that_was_cut_off(tmp_path: Path, cut: int) -> None:
    place = tmp_path / "m.safetensors"
    save_file({"a": np.zeros((10, 8), np.float16)}, place)
    assert num_values(tmp_path, [place.name], 0).total == 80
    place.write_bytes(place.read_bytes()[:-cut])
    with pytest.raises(BadRequest, match="m.safetensors is not a whole safetensors file"):
        num_values(tmp_path, [place.name], 0)


def test_packed_values_are_counted_one_by_one(tmp_path: Path) -> None:
    tensors: dict[str, np.ndarray[Any, Any]] = {
        "q.qweight": np.zeros((4, 16), np.int32),
        "q.qzeros": np.zeros((1, 2), np.int32),
        "q.scales": np.zeros((1, 16), np.float16),
        "experts.down_proj_blocks": np.zeros((2, 3, 16), np.uint8),
        "experts.down_proj_scales": np.zeros((2, 3), np.uint8),
        "norm.weight": np.zeros((7,), np.float16),
    }
    save_file(tensors, tmp_path / "m.safetensors")
    found = num_values(tmp_path, ["m.safetensors"], 4)
    assert found.total == 4 * 16 * 8 + 2 * 3 * 16 * 2 + 7


def test_experts_are_counted_apart(tmp_path: Path) -> None:
    tensors = {
        "layers.0.mlp.experts.0.up.weight": np.zeros((4, 4), np.float16),
        "layers.0.mlp.shared_expert.up.weight": np.zeros((2, 2), np.float16),
    }
    save_file(tensors, tmp_path / "m.safetensors")
    found = num_values(tmp_path, ["m.safetensors"], 0)
    assert (found.total, found.of_experts) == (20, 16)


def test_a_model_folder_has_config_and_weights(tmp_path: Path) -> None:
    assert not is_model_folder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert not is_model_folder(tmp_path)
    (tmp_path / "x.safetensors").touch()
    assert is_model_folder(tmp_path)
