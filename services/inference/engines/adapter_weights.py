"""What an adapter's safetensors hold, looked at before an engine sees them.

vLLM 0.32 takes an adapter of a smaller model without a word and says nonsense with it; and one that
makes NaN spoils the answers of others, for its cache is read beyond what they wrote (seen on CPU).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from services.cluster.errors import BadRequest

WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_LIMIT = 2.0**16  # no training gives more


def check_weights(folder: Path, model_folder: Path) -> None:
    """Raises BadRequest when the adapter is of another model or holds what is no sane number.

    Weights that the model's own safetensors do not have under the same name are not compared.
    """
    place = folder / WEIGHTS
    if not place.is_file():
        raise BadRequest(f"The adapter has no {WEIGHTS}.")
    base = _shapes(model_folder)
    try:
        with safe_open(place, framework="pt") as weights:
            names: list[str] = list(weights.keys())
            if not names:
                raise BadRequest("The adapter holds no weights.")
            for name in names:
                tensor: Any = weights.get_tensor(name)
                _check_shape(name, tensor.shape, base)
                # Written so that NaN is refused too.
                if not bool((tensor.abs() < _LIMIT).all()):
                    raise BadRequest(
                        f"The adapter's {name} holds values that are infinite or no numbers."
                    )
    except (SafetensorError, OSError) as error:
        raise BadRequest(f"{WEIGHTS} is not a whole safetensors file: {error}.") from error


def _shapes(model_folder: Path) -> dict[str, Sequence[int]]:
    found: dict[str, Sequence[int]] = {}
    for place in sorted(model_folder.glob("*.safetensors")):
        with safe_open(place, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 not a mapping
                found[name] = weights.get_slice(name).get_shape()
    return found


def _check_shape(name: str, shape: Sequence[int], base: Mapping[str, Sequence[int]]) -> None:
    """lora_A is rank x inputs, lora_B outputs x rank; the base outputs x inputs, or turned."""
    for part, axis in ((".lora_A", 1), (".lora_B", 0)):
        module, found, _ = name.removeprefix(_PREFIX).partition(part)
        wanted = base.get(f"{module}.weight") if found else None
        if wanted and (len(shape) != 2 or shape[axis] not in wanted):
            raise BadRequest(
                f"The adapter was made for another model: {name} is {_times(shape)}, and"
                f" this model's weight there is {_times(wanted)}."
            )


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
