"""How much memory of each device a replica needs: an estimate from what is known of its model.

A pure function of records, so that what a person is told, what is assigned and what the engine is
given are the same figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.cluster.devices.records import GIB
from services.cluster.records import ModelRecord

MIB = 1024**2
# The interpreter, torch, vLLM and its buffers, in both processes of a replica.
_OVERHEAD_BYTES = 3 * GIB // 2
_OVERHEAD_SHARE = 0.1  # activations and adapters, which grow with the weights
_ECHO_BYTES = 256 * MIB
_NUM_CONTEXTS = 16  # whole contexts that the key-value cache holds where there is room
_KV_CACHE_LIMIT = {"cpu": 1 * GIB, "cuda": 4 * GIB}
_UNKNOWN_KV_CACHE_BYTES = 1 * GIB
# A CPU computes in float32; on a GPU vLLM keeps 16 bits whatever is on disk.
_VALUE_BYTES = {"cpu": 4, "cuda": 2}


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of each device. `least_kv_cache_bytes` holds one whole context."""

    weights_bytes: int
    kv_cache_bytes: int
    least_kv_cache_bytes: int
    overhead_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_cache_bytes + self.overhead_bytes

    @property
    def least_bytes(self) -> int:
        return self.weights_bytes + self.least_kv_cache_bytes + self.overhead_bytes

    def engine_kv_cache_bytes(self, kind: str, device_bytes: int) -> int:
        """What the engine is told to take, given its share of the device; 0: what it finds free."""
        if device_bytes:
            return max(device_bytes - self.weights_bytes - self.overhead_bytes, 0)
        return 0 if kind == "cuda" else self.kv_cache_bytes


def memory_plan(
    engine: str,
    model: ModelRecord | None,
    *,
    kind: str,
    num_devices: int = 1,
    context_tokens: int = 0,
    kv_cache_bytes: int = 0,
) -> MemoryPlan:
    """`context_tokens` 0 stands for the model's own, `kv_cache_bytes` 0 for what fits the model."""
    if engine == "echo":
        return MemoryPlan(0, 0, 0, _ECHO_BYTES)
    weights = _weights_bytes(model, kind) // num_devices
    least, wanted = _kv_cache(model, kind, num_devices, context_tokens)
    return MemoryPlan(
        weights_bytes=weights,
        kv_cache_bytes=kv_cache_bytes or wanted,
        least_kv_cache_bytes=min(least, kv_cache_bytes or least),
        overhead_bytes=_OVERHEAD_BYTES + int(_OVERHEAD_SHARE * weights),
    )


def shortage(plan: MemoryPlan, device_bytes: int) -> str:
    """Why so many bytes of each device are too few, as a sentence; "" when they are enough."""
    if device_bytes == 0 or device_bytes >= plan.least_bytes:
        return ""
    return (
        f"{device_bytes / GIB:.2f} GiB of each device are too few: the weights need"
        f" {plan.weights_bytes / GIB:.2f} GiB, the key-value cache of one context"
        f" {plan.least_kv_cache_bytes / GIB:.2f} GiB and the engine itself"
        f" {plan.overhead_bytes / GIB:.2f} GiB; {plan.total_bytes / GIB:.2f} GiB are advised."
    )


def _weights_bytes(model: ModelRecord | None, kind: str) -> int:
    if model is None:
        return 0
    computed = model.num_parameters * _VALUE_BYTES[kind]
    # Quantized weights are smaller on disk and stay so on a GPU.
    return min(computed, model.weights_bytes or computed) if kind == "cuda" else computed


def _kv_cache(
    model: ModelRecord | None, kind: str, num_devices: int, context_tokens: int
) -> tuple[int, int]:
    """Bytes for one context, and those to take."""
    if model is None or (model.supports_completion and not model.kv_values_per_token):
        return 0, _UNKNOWN_KV_CACHE_BYTES
    tokens = context_tokens or model.context_tokens
    one = model.kv_values_per_token * _VALUE_BYTES[kind] * tokens // num_devices
    return one, max(one, min(_NUM_CONTEXTS * one, _KV_CACHE_LIMIT[kind]))
