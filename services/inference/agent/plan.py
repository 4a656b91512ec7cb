"""How much memory of each device a replica needs: an estimate from what is known of its model.

A pure function of records, so that what a person is told, what is assigned and what the engine is
given are the same figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.cluster.devices.records import GIB
from services.cluster.records import ModelRecord
from services.inference.agent.sharding import Shape, Sharding, sharding

MIB = 1024**2
# The interpreter, torch, vLLM and its buffers, in both processes of a replica.
_OVERHEAD_BYTES = 3 * GIB // 2
_OVERHEAD_SHARE = 0.1  # activations and adapters, which grow with the weights
_CUDA_GRAPH_BYTES = 512 * MIB  # recorded when the engine starts, beside all that it counts
_ECHO_BYTES = 256 * MIB
_NUM_CONTEXTS = 16  # whole contexts that the key-value cache holds where there is room
_KV_CACHE_LIMIT = {"cpu": 1 * GIB, "cuda": 4 * GIB}
_UNKNOWN_KV_CACHE_BYTES = 1 * GIB
# A CPU computes in float32; on a GPU vLLM keeps 16 bits whatever is on disk.
_VALUE_BYTES = {"cpu": 4, "cuda": 2}
# Of those 16 bits. Embeddings and the last layer stay as they are.
_QUANTIZED_SHARE = {"": 1.0, "fp8": 0.55}
_WHOLE_DEVICE_SHARE = 0.92  # what vLLM takes of a GPU that it has to itself


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of each device; of the fullest, where they differ.

    `least_kv_cache_bytes` holds one whole context of `context_tokens`, which are 0 while unknown.
    `fixed_kv_cache_bytes` is what somebody has asked for, 0 for nothing.
    """

    weights_bytes: int
    kv_cache_bytes: int
    least_kv_cache_bytes: int
    overhead_bytes: int
    context_tokens: int = 0
    fixed_kv_cache_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_cache_bytes + self.overhead_bytes

    @property
    def least_bytes(self) -> int:
        """With less it does not start."""
        least = self.fixed_kv_cache_bytes or self.least_kv_cache_bytes
        return self.weights_bytes + least + self.overhead_bytes

    def engine_kv_cache_bytes(self, kind: str, device_bytes: int) -> int:
        """What the engine is told to take, given its share of the device; 0: what it finds free."""
        if self.fixed_kv_cache_bytes:
            return self.fixed_kv_cache_bytes
        if device_bytes:
            return self.room_for_cache(device_bytes)
        return 0 if kind == "cuda" else self.kv_cache_bytes

    def room_for_cache(self, device_bytes: int) -> int:
        return max(device_bytes - self.weights_bytes - self.overhead_bytes, 0)

    def num_contexts(self, kv_cache_bytes: int) -> int:
        """Whole contexts that such a cache holds; 0 while the model's shape is unknown."""
        return kv_cache_bytes // self.least_kv_cache_bytes if self.least_kv_cache_bytes else 0

    def largest_context(self, kv_cache_bytes: int) -> int:
        """Tokens of one request that such a cache holds; 0 while the shape is unknown."""
        if not self.least_kv_cache_bytes:
            return 0
        return kv_cache_bytes * self.context_tokens // self.least_kv_cache_bytes


def memory_plan(
    engine: str,
    model: ModelRecord | None,
    *,
    kind: str,
    num_devices: int = 1,
    context_tokens: int = 0,
    kv_cache_bytes: int = 0,
    num_requests: int = 0,
    quantization: str = "",
) -> MemoryPlan:
    """`context_tokens` 0 stands for the model's own, `kv_cache_bytes` 0 for what fits the model
    and the `num_requests` that run at once, 0 of them for any number.
    """
    if engine == "echo":
        return MemoryPlan(0, 0, 0, _ECHO_BYTES)
    shape = Shape.of(model) if model else Shape()
    spread = sharding(shape, num_devices) or Sharding(num_devices)
    weights = int(_weights_bytes(model, kind, quantization) * _weights_share(shape, spread))
    tokens = context_tokens or (model.context_tokens if model else 0)
    least = _context_bytes(model, kind, tokens, _cache_share(shape, spread))
    return MemoryPlan(
        weights_bytes=weights,
        kv_cache_bytes=kv_cache_bytes or _wanted_cache(model, kind, least, num_requests),
        least_kv_cache_bytes=least,
        overhead_bytes=_OVERHEAD_BYTES
        + int(_OVERHEAD_SHARE * weights)
        + (_CUDA_GRAPH_BYTES if kind == "cuda" else 0),
        context_tokens=tokens,
        fixed_kv_cache_bytes=kv_cache_bytes,
    )


def usable_bytes(kind: str, device_bytes: int, total_bytes: int) -> int:
    """What an engine has of a device, given its share, 0 for the whole device."""
    if device_bytes:
        return device_bytes
    return int(total_bytes * _WHOLE_DEVICE_SHARE) if kind == "cuda" else total_bytes


def shortage(plan: MemoryPlan, device_bytes: int) -> str:
    """Why so many bytes of each device are too few, as a sentence; "" when they are enough."""
    cache, one = plan.fixed_kv_cache_bytes, plan.least_kv_cache_bytes
    if cache and cache < one:
        return (
            f"kv_cache_bytes of {cache / GIB:.2f} GiB hold {plan.largest_context(cache)} tokens;"
            f" one context of {plan.context_tokens} needs {one / GIB:.2f} GiB."
        )
    if device_bytes == 0 or device_bytes >= plan.least_bytes:
        return ""
    what = "the key-value cache" if cache else "the key-value cache of one context"
    return (
        f"{device_bytes / GIB:.2f} GiB of each device are too few: the weights need"
        f" {plan.weights_bytes / GIB:.2f} GiB, {what} {(cache or one) / GIB:.2f} GiB"
        f" and the engine itself {plan.overhead_bytes / GIB:.2f} GiB;"
        f" {plan.total_bytes / GIB:.2f} GiB are advised."
    )


def _weights_bytes(model: ModelRecord | None, kind: str, quantization: str) -> int:
    if model is None:
        return 0
    computed = model.num_parameters * _VALUE_BYTES[kind]
    if kind == "cpu":
        return computed
    # Weights that are quantized on disk are smaller and stay so on a GPU.
    on_gpu = min(computed, model.weights_bytes or computed)
    return min(on_gpu, int(computed * _QUANTIZED_SHARE[quantization]))


def _stage_share(shape: Shape, spread: Sharding) -> float:
    """Layers of the fullest stage, of all."""
    if spread.pipeline_parallel == 1:
        return 1.0
    return -(-shape.num_layers // spread.pipeline_parallel) / shape.num_layers


def _weights_share(shape: Shape, spread: Sharding) -> float:
    return _stage_share(shape, spread) / spread.tensor_parallel


def _cache_share(shape: Shape, spread: Sharding) -> float:
    """A key-value head that several devices need is on each of them."""
    if not shape.is_known:
        return 1 / spread.num_devices
    heads = max(shape.num_kv_heads // spread.tensor_parallel, 1)
    return _stage_share(shape, spread) * heads / shape.num_kv_heads


def _context_bytes(model: ModelRecord | None, kind: str, tokens: int, share: float) -> int:
    """Of one context; 0 while the shape is unknown."""
    if model is None:
        return 0
    return int(model.kv_values_per_token * _VALUE_BYTES[kind] * tokens * share)


def _wanted_cache(model: ModelRecord | None, kind: str, one: int, num_requests: int) -> int:
    if model is None or (model.supports_completion and not one):
        return _UNKNOWN_KV_CACHE_BYTES
    num_contexts = min(_NUM_CONTEXTS, num_requests or _NUM_CONTEXTS)
    return max(one, min(num_contexts * one, _KV_CACHE_LIMIT[kind]))
