from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from services.cluster.errors import BadRequest
from services.inference.engines.adapter_weights import WEIGHTS, check_weights

MODULE = "model.layers.0.self_attn.q_proj"
NAMES = (f"base_model.model.{MODULE}.lora_A.weight", f"base_model.model.{MODULE}.lora_B.weight")


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
    folder = tmp_path / "adapter"
    folder.mkdir()
    save_file(dict(zip(NAMES, (a, b), strict=True)), folder / WEIGHTS)
    return folder


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, -3.5, 60_000])
def test_an_adapter_of_the_model_passes(
    tmp_path: Path, model_folder: Path, dtype: type, value: float
) -> None:
    check_weights(adapter(tmp_path, dtype=dtype, value=value), model_folder)


@pytest.mark.parametrize(("num_in", "num_out"), [(5, 4), (12, 4), (6, 3), (6, 8)])
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
    header = b'{"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}'
    content = struct.pack("<Q", len(header)) + header + struct.pack("<H", bits)
    (tmp_path / WEIGHTS).write_bytes(content)
    if sane:
        check_weights(tmp_path, tmp_path / "no-model")
    else:
        with pytest.raises(BadRequest):
            check_weights(tmp_path, tmp_path / "no-model")


def test_what_the_model_does_not_have_is_left_to_the_engine(tmp_path: Path) -> None:
    check_weights(adapter(tmp_path, 5, 3), tmp_path / "no-model")


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
    with pytest.raises(BadRequest):
        check_weights(tmp_path, tmp_path / "no-model")
