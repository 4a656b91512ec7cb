"""What a training takes of a device, estimated from the model's own files. No weight is read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from services.cluster.devices.records import GIB
from services.cluster.errors import BadRequest

_VALUE_BYTES = {"cpu": 4, "cuda": 2}
_TRAINABLE_BYTES = 16  # float32: weight, gradient and Adam's two moments
_OVERHEAD_BYTES = {"cpu": int(0.6 * GIB), "cuda": int(1.5 * GIB)}
_KEPT_PER_LAYER = (18, 6)  # activations kept for the backward pass, by hidden and inner size
_LOGIT_COPIES = 3  # in float32: the logits, their softmax, their gradient


@dataclass(frozen=True)
class ModelShape:
    """`linear` names the modules that can have an adapter, with (out, in) of each one."""

    num_parameters: int
    hidden_size: int
    inner_size: int
    num_layers: int
    vocabulary: int
    linear: Mapping[str, Sequence[tuple[int, int]]]


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of one device."""

    weights_bytes: int
    trainable_bytes: int
    activation_bytes: int
    overhead_bytes: int

    @property
    def total_bytes(self) -> int:
        return (
            self.weights_bytes + self.trainable_bytes + self.activation_bytes + self.overhead_bytes
        )


def read_shape(folder: Path) -> ModelShape:
    """Raises BadRequest when the folder is no model of blocks with linear modules."""
    linear: dict[str, list[tuple[int, int]]] = {}
    num_parameters, vocabulary = 0, 0
    for name, shape in _tensors(folder):
        size = 1
        for length in shape:
            size *= length
        num_parameters += size
        module = name.removesuffix(".weight").rpartition(".")[2]
        if module == "embed_tokens" or module == "wte":
            vocabulary = shape[0]
        if len(shape) == 2 and name.endswith(".weight") and _is_of_a_block(name):
            linear.setdefault(module, []).append((shape[0], shape[1]))
    if not linear:
        raise BadRequest("The model has no linear modules in blocks: it cannot be fine-tuned.")
    config: Mapping[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return ModelShape(
        num_parameters=num_parameters,
        hidden_size=int(config.get("hidden_size", 0)),
        inner_size=int(config.get("intermediate_size", 0)),
        num_layers=int(config.get("num_hidden_layers", 0)),
        vocabulary=vocabulary or int(config.get("vocab_size", 0)),
        linear=linear,
    )


def training_memory(
    shape: ModelShape,
    *,
    device_kind: str,
    lora_r: int,
    target_modules: Sequence[str],
    context_tokens: int,
    micro_batch_size: int,
    low_gpu_mem_mode: bool,
) -> TrainingMemory:
    value_bytes = _VALUE_BYTES[device_kind]
    num_trainable = sum(
        lora_r * (rows + columns)
        for name in target_modules
        for rows, columns in shape.linear.get(name, ())
    )
    per_hidden, per_inner = _KEPT_PER_LAYER
    layer_values = per_hidden * shape.hidden_size + per_inner * shape.inner_size
    # In the low-memory mode one layer is whole at a time, of the others only the input is kept.
    layers_values = (
        layer_values + shape.num_layers * shape.hidden_size
        if low_gpu_mem_mode
        else layer_values * shape.num_layers
    )
    token_bytes = layers_values * value_bytes + shape.vocabulary * 4 * _LOGIT_COPIES
    return TrainingMemory(
        weights_bytes=shape.num_parameters * value_bytes,
        trainable_bytes=num_trainable * _TRAINABLE_BYTES,
        activation_bytes=micro_batch_size * context_tokens * token_bytes,
        overhead_bytes=_OVERHEAD_BYTES[device_kind],
    )


def _is_of_a_block(name: str) -> bool:
    return any(part.isdigit() for part in name.split("."))


def _tensors(folder: Path) -> list[tuple[str, list[int]]]:
    found: list[tuple[str, list[int]]] = []
    for place in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(place, framework="numpy") as file:
                found += [(n, file.get_slice(n).get_shape()) for n in file.keys()]  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise BadRequest(f"{place.name} is not a whole safetensors file: {error}.") from error
    return found
