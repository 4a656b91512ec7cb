from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from services.cluster.errors import BadRequest
from services.inference.engines.adapter_config import CONFIG
from services.inference.engines.adapter_weights import WEIGHTS
from services.inference.engines.adapter_weights import check_weights as check_weights_up_to

MODULE = "model.layers.0.self_attn.q_proj"
CONFIG_OF_RANK_2 = {"peft_type": "LORA", "r": 2, "lora_alpha": 1}
NAMES = (f"base_model.model.{MODULE}.lora_A.weight", f"base_model.model.{MODULE}.lora_B.weight")


def check_weights(folder: Path, model_folder: Path) -> None:
    check_weights_up_to(folder, model_folder, 8)


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """One weight with 6 inputs and 4 outputs."""
    folder = tmp_path / "model"
    folder.mkdir()
    weights = {f"{MODULE}.weight": np.zeros((4, 6), np.float32)}
    save_file(weights, folder / "model-00001-of-00001.safetensors")
    return folder


def adapter(
    tmp_path: Path, num_in: int = 6, num_out: int = 4, dtype: type = np.float32, value: float = 0.1
) -> Path:
    """Of rank 2; `value` stands once in the last weight."""
    a: NDArray[Any] = np.ones((2, num_in), dtype)
    b: NDArray[Any] = np.ones((num_out, 2), dtype)
    b[-1, -1] = value
    return saved(tmp_path, dict(zip(NAMES, (a, b), strict=True)))


def saved(tmp_path: Path, weights: dict[str, NDArray[Any]], **config: Any) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / CONFIG).write_text(json.dumps({**CONFIG_OF_RANK_2, **config}))
    save_file(weights, folder / WEIGHTS)
    return folder


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, -3.5, 60_000])
def test_an_adapter_of_the_model_passes(
    tmp_path: Path, model_folder: Path, dtype: type, value: float
) -> None:
    check_weights(adapter(tmp_path, dtype=dtype, value=value), model_folder)


@pytest.mark.parametrize(("num_in", "num_out"), [(5, 4), (12, 4), (6, 3), (6, 8), (6, 6)])
def test_an_adapter_of_another_model_is_refused(
    tmp_path: Path, model_folder: Path, num_in: int, num_out: int
) -> None:
    with pytest.raises(BadRequest, match="made for another model.*4 x 6"):
        check_weights(adapter(tmp_path, num_in, num_out), model_folder)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(
    tmp_path: Path, model_folder: Path, dtype: type, value: float
) -> None:
    with pytest.raises(BadRequest, match=r"lora_B\.weight holds values that are infinite"):
        check_weights(adapter(tmp_path, dtype=dtype, value=value), model_folder)


def test_what_no_training_gives_is_refused(tmp_path: Path, model_folder: Path) -> None:
    with pytest.raises(BadRequest, match="infinite"):
        check_weights(adapter(tmp_path, value=1e30), model_folder)


@pytest.mark.parametrize(("bits", "sane"), [(0x3F80, True), (0x7F80, False), (0xFFC0, False)])
def test_bfloat16_is_read_too(tmp_path: Path, bits: int, sane: bool) -> None:
    """Which numpy does not know: 1, infinity and a NaN."""
    described = {
        name: {"dtype": "BF16", "shape": [1, 1], "data_offsets": [2 * n, 2 * n + 2]}
        for n, name in enumerate(NAMES)
    }
    header = json.dumps(described).encode()
    content = struct.pack("<Q", len(header)) + header + struct.pack("<2H", 0x3F80, bits)
    (tmp_path / WEIGHTS).write_bytes(content)
    (tmp_path / CONFIG).write_text(json.dumps({**CONFIG_OF_RANK_2, "r": 1}))
    if sane:
        check_weights(tmp_path, tmp_path / "no-model")
    else:
        with pytest.raises(BadRequest):
            check_weights(tmp_path, tmp_path / "no-model")


def test_a_model_without_safetensors_is_left_to_the_engine(tmp_path: Path) -> None:
    check_weights(adapter(tmp_path, 5, 3), tmp_path / "no-model")


def matrices(rank_a: int = 2, rank_b: int = 2, module: str = MODULE) -> dict[str, NDArray[Any]]:
    return {
        f"base_model.model.{module}.lora_A.weight": np.ones((rank_a, 6), np.float32),
        f"base_model.model.{module}.lora_B.weight": np.ones((4, rank_b), np.float32),
    }


@pytest.mark.parametrize("module", ["model.layers.1.self_attn.q_proj", "model.layers.0.q", "x"])
def test_a_module_that_the_model_does_not_have_is_refused(
    tmp_path: Path, model_folder: Path, module: str
) -> None:
    folder = saved(tmp_path, {**matrices(), **matrices(module=module)})
    with pytest.raises(BadRequest, match=f"made for another model: it changes {module}"):
        check_weights(folder, model_folder)


def test_quantized_weights_have_other_names(tmp_path: Path) -> None:
    save_file({f"{MODULE}.qweight": np.zeros((1, 1), np.int32)}, tmp_path / "model.safetensors")
    check_weights(saved(tmp_path, matrices()), tmp_path)


@pytest.mark.parametrize(("rank_a", "rank_b"), [(1, 2), (2, 1), (4, 4)])
def test_the_ranks_are_those_of_the_config(
    tmp_path: Path, model_folder: Path, rank_a: int, rank_b: int
) -> None:
    with pytest.raises(BadRequest, match="not of the rank 2"):
        check_weights(saved(tmp_path, matrices(rank_a, rank_b)), model_folder)


def test_a_pattern_gives_a_module_its_own_rank(tmp_path: Path, model_folder: Path) -> None:
    check_weights(saved(tmp_path, matrices(4, 4), rank_pattern={"q_proj": 4}), model_folder)


@pytest.mark.parametrize("left", NAMES)
def test_one_matrix_alone_is_refused(tmp_path: Path, model_folder: Path, left: str) -> None:
    with pytest.raises(BadRequest, match=r"has no lora_[AB] of"):
        check_weights(saved(tmp_path, {left: matrices()[left]}), model_folder)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.bool_, np.uint8])
def test_whole_numbers_are_refused(tmp_path: Path, model_folder: Path, dtype: type) -> None:
    with pytest.raises(BadRequest, match="floats are taken"):
        check_weights(adapter(tmp_path, dtype=dtype, value=1), model_folder)


def test_numbers_that_together_are_beyond_training(tmp_path: Path, model_folder: Path) -> None:
    huge = {name: matrix * 1000 for name, matrix in matrices().items()}
    with pytest.raises(BadRequest, match="more than any training"):
        check_weights(saved(tmp_path, huge), model_folder)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no adapter_model.safetensors"):
        check_weights(tmp_path, tmp_path / "no-model")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 8) + b'{"w": 1}',
        struct.pack("<Q", 62) + b'{"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}',
        struct.pack("<Q", 63) + b'{"w": {"dtype": "BF16", "shape": [1], "data_offsets": [-2, 0]}}',
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / WEIGHTS).write_bytes(content)
    (tmp_path / CONFIG).write_text(json.dumps(CONFIG_OF_RANK_2))
    with pytest.raises(BadRequest):
        check_weights(tmp_path, tmp_path / "no-model")
