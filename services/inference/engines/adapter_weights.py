"""What an adapter's safetensors hold, looked at before an engine sees them.

vLLM 0.32 takes an adapter of a smaller model without a word and says nonsense with it; and one that
makes NaN spoils the answers of others, for its cache is read beyond what they wrote (seen on CPU).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from services.cluster.errors import BadRequest
from services.inference.engines.adapter_config import AdapterConfig, read_config

WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_MATRIX = re.compile(r"(?P<module>.+)\.lora_(?:embedding_)?(?P<side>[AB])(?:\.weight)?")
_NUMBERS = {"F16", "BF16", "F32", "F64"}
_LIMIT = 2.0**16  # no training gives more, neither in a matrix nor in what two of them add


@dataclass
class _Module:
    """Of one module the two matrices: shapes and largest absolute values, by "A" and "B"."""

    shapes: dict[str, Sequence[int]] = field(default_factory=dict)
    largest: dict[str, float] = field(default_factory=dict)


def check_weights(folder: Path, model_folder: Path, max_rank: int) -> None:
    """Raises BadRequest when the adapter is of another model or holds what is no sane number.

    Which modules there are is left to the engine where the model has no safetensors.
    """
    place = folder / WEIGHTS
    if not place.is_file():
        raise BadRequest(f"The adapter has no {WEIGHTS}.")
    config = read_config(folder, max_rank)
    base = _shapes(model_folder)
    try:
        modules = _modules(place)
    except (SafetensorError, OSError) as error:
        raise BadRequest(f"{WEIGHTS} is not a whole safetensors file: {error}.") from error
    if not modules:
        raise BadRequest("The adapter holds no lora_A and lora_B.")
    known = {name.rpartition(".")[0] for name in base}
    for name, module in modules.items():
        _check_ranks(name, module.shapes, config.rank_of(name))
        if base:
            _check_base(name, module.shapes, base, known)
        _check_gain(name, module, config)


def _modules(place: Path) -> dict[str, _Module]:
    """By the module's name in the model. Raises BadRequest for what is no number of training."""
    found: dict[str, _Module] = {}
    with safe_open(place, framework="pt") as weights:
        for name in weights.keys():  # noqa: SIM118 not a mapping
            part = weights.get_slice(name)
            if (dtype := part.get_dtype()) not in _NUMBERS:
                raise BadRequest(f"The adapter's {name} is of {dtype}; floats are taken.")
            tensor: Any = weights.get_tensor(name)
            largest = float(tensor.abs().max()) if tensor.numel() else 0.0
            # Written so that NaN is refused too.
            if not largest < _LIMIT:
                raise BadRequest(
                    f"The adapter's {name} holds values that are infinite or no numbers."
                )
            if matrix := _MATRIX.fullmatch(name.removeprefix(_PREFIX)):
                module = found.setdefault(matrix["module"], _Module())
                module.shapes[matrix["side"]] = part.get_shape()
                module.largest[matrix["side"]] = largest
    return found


def _shapes(model_folder: Path) -> dict[str, Sequence[int]]:
    found: dict[str, Sequence[int]] = {}
    for place in sorted(model_folder.glob("*.safetensors")):
        if place.name.startswith("consolidated"):  # Mistral's own names, which no adapter has
            continue
        with safe_open(place, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 not a mapping
                found[name] = weights.get_slice(name).get_shape()
    return found


def _check_ranks(name: str, shapes: Mapping[str, Sequence[int]], rank: int) -> None:
    """lora_A is rank x inputs, lora_B outputs x rank."""
    for side, axis in (("A", 0), ("B", 1)):
        shape = shapes.get(side)
        if shape is None:
            raise BadRequest(f"The adapter has no lora_{side} of {name}.")
        if len(shape) != 2 or shape[axis] != rank:
            raise BadRequest(
                f"The adapter's lora_{side} of {name} is {_times(shape)}, which is not of the rank"
                f" {rank} that adapter_config.json names."
            )


def _check_base(
    name: str,
    shapes: Mapping[str, Sequence[int]],
    base: Mapping[str, Sequence[int]],
    known: set[str],
) -> None:
    """The base is outputs x inputs, or turned. Quantized ones have other weights than `weight`."""
    if name not in known:
        raise BadRequest(
            f"The adapter was made for another model: it changes {name}, which this model does"
            " not have."
        )
    wanted = base.get(f"{name}.weight")
    added = [shapes["B"][0], shapes["A"][1]]
    if wanted is not None and added not in (list(wanted), list(reversed(wanted))):
        raise BadRequest(
            f"The adapter was made for another model: what it adds to {name} is {_times(added)},"
            f" and this model's weight there is {_times(wanted)}."
        )


def _check_gain(name: str, module: _Module, config: AdapterConfig) -> None:
    """An upper limit of what one entry of the weight may change by."""
    gain = config.scaling_of(name) * config.rank_of(name)
    if gain * module.largest["A"] * module.largest["B"] >= _LIMIT:
        raise BadRequest(f"The adapter changes {name} by more than any training gives.")


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
