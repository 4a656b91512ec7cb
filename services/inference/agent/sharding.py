"""How an engine is spread over several devices: a pure function of the model's shape.

Tensor parallelism cuts every layer, and all devices work on each token; pipeline parallelism gives
each device some of the layers, and a token passes through one after another. The rule is vLLM's
own: heads are dealt out evenly, and key-value heads are dealt out or repeated evenly.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.cluster.records import ModelRecord
from services.inference.models.architectures import Architectures

MAX_SHARDS = 16  # of one host


@dataclass(frozen=True)
class Shape:
    """Zeros while unknown. `can_pipeline`: its class in vLLM may be given some of the layers."""

    num_heads: int = 0
    num_kv_heads: int = 0
    num_layers: int = 0
    can_pipeline: bool = False

    @classmethod
    def of(cls, model: ModelRecord) -> Shape:
        found = Architectures.load().find(model.architecture)
        can_pipeline = model.supports_completion and (found is None or found.can_pipeline)
        return cls(model.num_heads, model.num_kv_heads, model.num_layers, can_pipeline)

    @property
    def is_known(self) -> bool:
        return bool(self.num_heads and self.num_kv_heads and self.num_layers)


@dataclass(frozen=True)
class Sharding:
    """Devices of one engine: `tensor_parallel` for each of `pipeline_parallel` stages."""

    tensor_parallel: int = 1
    pipeline_parallel: int = 1

    @property
    def num_devices(self) -> int:
        return self.tensor_parallel * self.pipeline_parallel


def splits_heads(shape: Shape, num_devices: int) -> bool:
    """Whether so many devices can share every layer of a known shape."""
    if shape.num_heads % num_devices:
        return False
    if shape.num_kv_heads >= num_devices:
        return shape.num_kv_heads % num_devices == 0
    return num_devices % shape.num_kv_heads == 0


def sharding(shape: Shape, num_devices: int) -> Sharding | None:
    """As many devices in each layer as heads allow, the rest in stages; None when neither goes.

    Of an unknown shape only a power of two is taken, which nearly all models can be cut into.
    """
    if not shape.is_known:
        is_power_of_two = num_devices & (num_devices - 1) == 0
        return Sharding(num_devices) if is_power_of_two else None
    for tensor_parallel in range(num_devices, 0, -1):
        num_stages, rest = divmod(num_devices, tensor_parallel)
        if rest or not splits_heads(shape, tensor_parallel):
            continue
        if num_stages == 1 or (shape.can_pipeline and num_stages <= shape.num_layers):
            return Sharding(tensor_parallel, num_stages)
    return None


def valid_counts(shape: Shape, most: int = MAX_SHARDS) -> list[int]:
    return [count for count in range(1, most + 1) if sharding(shape, count)]


def explain(name: str, shape: Shape, num_devices: int) -> str:
    """How the model would be spread over so many devices, or why not, as a sentence."""
    found = sharding(shape, num_devices)
    if found is None:
        counts = ", ".join(map(str, valid_counts(shape)))
        return f"{name} cannot be spread over {num_devices} devices: {_why(shape)}; try {counts}."
    if num_devices == 1:
        return f"{name} runs on one device."
    if found.pipeline_parallel == 1:
        return f"Every layer of {name} is cut into {num_devices} (tensor parallel)."
    heads = f"its {shape.num_heads} heads and {shape.num_kv_heads} key-value heads"
    stages = f"its {shape.num_layers} layers are dealt out to {found.pipeline_parallel} stages"
    if found.tensor_parallel == 1:
        return (
            f"{heads.capitalize()} cannot be cut into {num_devices}: {stages} (pipeline parallel)."
        )
    return (
        f"{heads.capitalize()} cannot be cut into {num_devices}: {stages} (pipeline parallel) of"
        f" {found.tensor_parallel} devices each (tensor parallel)."
    )


def _why(shape: Shape) -> str:
    if not shape.is_known:
        return "its numbers of heads and layers are not known, and only powers of two are safe"
    heads = f"it has {shape.num_heads} heads and {shape.num_kv_heads} key-value heads"
    if not shape.can_pipeline:
        return f"{heads}, and its layers cannot be dealt out"
    return f"{heads}, and {shape.num_layers} layers are too few to be dealt out"
