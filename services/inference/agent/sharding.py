"""How an engine is spread over several devices: a pure function of the model's shape.

Tensor parallelism cuts every layer, and all devices work on each token; pipeline parallelism gives
each device some of the layers, and a token passes through one after another. The rule is vLLM's
own: heads are dealt out evenly, key-value heads are dealt out or repeated evenly, and so many
devices cut the inner widths of layers and the vocabulary without a rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.cluster.records import ModelRecord
from services.inference.models.architectures import Architectures

MAX_SHARDS = 16  # of one host


@dataclass(frozen=True)
class Shape:
    """Zeros while unknown. `can_pipeline`: its class in vLLM may be given some of the layers.

    Other widths than heads are multiples of `width_divisor`.
    """

    num_heads: int = 0
    num_kv_heads: int = 0
    num_layers: int = 0
    can_pipeline: bool = False
    width_divisor: int = 0

    @classmethod
    def of(cls, model: ModelRecord) -> Shape:
        found = Architectures.load().find(model.architecture)
        can_pipeline = model.supports_completion and (found is None or found.can_pipeline)
        return cls(
            model.num_heads,
            model.num_kv_heads,
            model.num_layers,
            can_pipeline,
            model.width_divisor,
        )

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


def splits_widths(shape: Shape, num_devices: int) -> bool:
    """Of unknown widths only powers of two are taken, which nearly all can be cut into."""
    if not shape.width_divisor:
        return num_devices & (num_devices - 1) == 0
    return shape.width_divisor % num_devices == 0


def splits_heads(shape: Shape, num_devices: int) -> bool:
    """Whether so many devices can share the attention of a known shape."""
    if shape.num_heads % num_devices:
        return False
    if shape.num_kv_heads >= num_devices:
        return shape.num_kv_heads % num_devices == 0
    return num_devices % shape.num_kv_heads == 0


def sharding(shape: Shape, num_devices: int) -> Sharding | None:
    """As many devices in each layer as it can be cut for, the rest in stages; None when neither
    goes.

    Of an unknown shape only a power of two is taken, which nearly all models can be cut into.
    """
    if not shape.is_known:
        return Sharding(num_devices) if splits_widths(Shape(), num_devices) else None
    for tensor_parallel in range(num_devices, 0, -1):
        num_stages, rest = divmod(num_devices, tensor_parallel)
        if rest or not splits_heads(shape, tensor_parallel):
            continue
        if not splits_widths(shape, tensor_parallel):
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
        return (
            f"{name} cannot be spread over {num_devices} devices: {_why(shape, num_devices)};"
            f" try {counts}."
        )
    if num_devices == 1:
        return f"{name} runs on one device."
    if found.pipeline_parallel == 1:
        return f"Every layer of {name} is cut into {num_devices} (tensor parallel)."
    uncut = _uncut(shape, num_devices).capitalize()
    stages = f"its {shape.num_layers} layers are dealt out to {found.pipeline_parallel} stages"
    if found.tensor_parallel == 1:
        return f"{uncut}: {stages} (pipeline parallel)."
    return (
        f"{uncut}: {stages} (pipeline parallel) of {found.tensor_parallel} devices each (tensor"
        " parallel)."
    )


def _uncut(shape: Shape, num_devices: int) -> str:
    """Why so many devices cannot share each layer of a known shape."""
    if not splits_heads(shape, num_devices):
        heads = f"its {shape.num_heads} heads and {shape.num_kv_heads} key-value heads"
        return f"{heads} cannot be cut into {num_devices}"
    if shape.width_divisor:
        return f"the widths of its layers cannot be cut into {num_devices}"
    return "the widths of its layers are not known, and only powers of two are safe"


def _why(shape: Shape, num_devices: int) -> str:
    if not shape.is_known:
        return "its numbers of heads and layers are not known, and only powers of two are safe"
    uncut = f"it has {shape.num_heads} heads and {shape.num_kv_heads} key-value heads"
    if splits_heads(shape, num_devices):
        uncut = _uncut(shape, num_devices)
    if not shape.can_pipeline:
        return f"{uncut}, and its layers cannot be dealt out"
    return f"{uncut}, and {shape.num_layers} layers are too few to be dealt out"
