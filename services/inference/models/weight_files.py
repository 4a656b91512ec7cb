"""Which files of a model hold its weights, whether they are whole, and how much is in them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from services.cluster.errors import BadRequest
from services.inference.tokenization import read_json

INDEX_FILE = "model.safetensors.index.json"
_ENDING = ".safetensors"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
# Mistral's own layout of the same weights, beside the one that vLLM reads.
_CONSOLIDATED = "consolidated"
# Of quantized weights: several values in one number, and what is there only to unpack them.
_PACKED = ("qweight", "weight_packed", "_blocks")
_UNPACKING = ("qzeros", "scales", "g_idx", "_scale", "_scale_inv", "_zero_point", "weight_shape")
_EXPERTS = ".experts."
_VALUE_BITS = {"F64": 64, "F32": 32, "BF16": 16, "F16": 16, "I64": 64, "I32": 32, "I16": 16}


def is_model_folder(folder: Path) -> bool:
    """Whether the files that every model has are there; says nothing about what they hold."""
    return (folder / "config.json").is_file() and any(folder.glob(f"*{_ENDING}"))


def weight_names(folder: Path, names: Collection[str]) -> list[str]:
    """Those of `names`, all files of the model, that hold weights; the index of shards decides.

    Raises BadRequest where there are none that may be read, or not all of them.
    """
    found = sorted(name for name in names if name.endswith(_ENDING) and "/" not in name)
    if not found:
        raise BadRequest(_without_safetensors(names))
    shards = read_json(folder / INDEX_FILE).get("weight_map")
    if not isinstance(shards, dict):
        return [n for n in found if not n.startswith(_CONSOLIDATED)] or found
    wanted = sorted({str(name) for name in shards.values()})
    if missing := [name for name in wanted if name not in names]:
        raise BadRequest(
            f"{INDEX_FILE} names {missing[0]}, which is not there"
            f" ({len(missing)} of {len(wanted)} files of weights are missing): copy the model"
            " again, with all of its files."
        )
    return wanted


def _without_safetensors(names: Collection[str]) -> str:
    if any(name.endswith(".gguf") for name in names):
        return (
            "The weights are in GGUF only, which this engine does not read; take the model's"
            " repository with .safetensors files, from which the GGUF was made."
        )
    if pickles := sorted(name for name in names if name.endswith(_PICKLES)):
        return (
            f"The weights are pickled ({pickles[0]}), a format that can run code and is not read;"
            " save the model with .safetensors files."
        )
    return f"There is no {_ENDING} file with weights; save the model in this format."


@dataclass(frozen=True)
class NumValues:
    """How many numbers there are, and how many of them belong to experts that take turns."""

    total: int
    of_experts: int


def num_values(folder: Path, names: Collection[str], bits: int) -> NumValues:
    """From the headers; the weights themselves are not read.

    `bits` of a quantized value, 0 where nothing is quantized. Raises BadRequest for a file that is
    cut off or is none.
    """
    counts = dict(pair for name in names for pair in _values_in(folder / name, bits))
    return NumValues(
        sum(counts.values()),
        sum(count for name, count in counts.items() if _EXPERTS in name),
    )


def _values_in(place: Path, bits: int) -> list[tuple[str, int]]:
    try:
        with safe_open(place, framework="numpy") as file:
            return [
                (name, _values_of(name, file.get_slice(name), bits))
                for name in file.keys()  # noqa: SIM118
            ]
    except (SafetensorError, OSError) as error:
        raise BadRequest(
            f"{place.name} is not a whole safetensors file: {error}. Copy it again."
        ) from error


def _values_of(name: str, tensor: object, bits: int) -> int:
    shape: list[int] = tensor.get_shape()  # type: ignore[attr-defined]
    count = math.prod(shape)
    if not bits:
        return count
    if name.endswith(_UNPACKING):
        return 0
    if name.endswith(_PACKED):
        kind: str = tensor.get_dtype()  # type: ignore[attr-defined]
        return count * _VALUE_BITS.get(kind, 8) // bits
    return count


def estimated_values(total_bytes: int, config: Mapping[str, object], bits: int) -> int:
    """Of weights that are not here yet, from their size and the type that config.json names."""
    kind = str(config.get("dtype") or config.get("torch_dtype") or "")
    value_bits = bits or (32 if kind.endswith("float32") else 16)
    return total_bytes * 8 // value_bits
