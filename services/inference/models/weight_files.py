"""Which files of a model hold its weights, whether they are whole, and how much is in them."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePath

from safetensors import SafetensorError, safe_open

from services.cluster.errors import BadRequest
from services.inference.tokenization import read_json

CONFIG_FILE = "config.json"
INDEX_FILE = "model.safetensors.index.json"
_ENDING = ".safetensors"
_OTHER_FORMATS = {
    ".bin": "a pickle checkpoint",
    ".ckpt": "a pickle checkpoint",
    ".gguf": "a GGUF file",
    ".h5": "a Keras file",
    ".msgpack": "a Flax file",
    ".pkl": "a pickle",
    ".pt": "a pickle checkpoint",
    ".pth": "a pickle checkpoint",
}
# Mistral's own layout of the same weights, beside the one that vLLM reads.
_CONSOLIDATED = "consolidated"
# Of quantized weights: several values in one number, and what is there only to unpack them.
_PACKED = ("qweight", "weight_packed", "_blocks")
_UNPACKING = ("qzeros", "scales", "g_idx", "_scale", "_scale_inv", "_zero_point", "weight_shape")
_EXPERTS = ".experts."
_VALUE_BITS = {"F64": 64, "F32": 32, "BF16": 16, "F16": 16, "I64": 64, "I32": 32, "I16": 16}


def is_model_folder(folder: Path) -> bool:
    """Whether the files that every model has are there; says nothing about what they hold."""
    return (folder / CONFIG_FILE).is_file() and any(folder.glob(f"*{_ENDING}"))


def weight_names(folder: Path, names: Collection[str]) -> list[str]:
    """Those of `names`, all files of the model, that hold weights; the index of shards decides.

    Raises BadRequest where there are none that may be read, or not all of them.
    """
    found = sorted(name for name in names if name.endswith(_ENDING))
    if not found:
        raise BadRequest(without_safetensors(names, str(folder)))
    shards = read_json(folder / INDEX_FILE).get("weight_map")
    if not isinstance(shards, dict):
        return [n for n in found if not n.startswith(_CONSOLIDATED)] or found
    wanted = sorted({str(name) for name in shards.values()})
    if not wanted:
        raise BadRequest(
            f"The weight_map of {INDEX_FILE} is empty: copy that file again, or delete it where one"
            f" {_ENDING} file holds all weights."
        )
    if missing := [name for name in wanted if name not in names]:
        raise BadRequest(
            f"{INDEX_FILE} names {missing[0]}, which is not there"
            f" ({len(missing)} of {len(wanted)} files of weights are missing): copy the model"
            " again, with all of its files."
        )
    return wanted


def without_safetensors(names: Collection[str], whose: str) -> str:
    """The sentence that refuses a model for what it has instead; `whose` begins it."""
    kinds = ((name, _OTHER_FORMATS.get(PurePath(name).suffix.lower())) for name in sorted(names))
    instead = next((f", only {kind} ({name})" for name, kind in kinds if kind), "")
    return (
        f"{whose} has no {_ENDING} file{instead}. Other formats can run code or are not read: take"
        " a model that is saved as safetensors, or convert this one."
    )


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
    if not place.is_file():  # a pipe would be waited for, with the interpreter's lock held
        raise BadRequest(
            f"{place.name} is no file, nor a link to one that is there. Copy the model again."
        )
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
