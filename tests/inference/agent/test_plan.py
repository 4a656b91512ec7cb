from __future__ import annotations

from typing import Any

import pytest

from services.cluster.devices.records import GIB
from services.cluster.records import ModelRecord
from services.inference.agent.plan import MemoryPlan, memory_plan, shortage
from services.inference.models.catalogue import load_catalogue

SEVEN_BILLION = ModelRecord(
    name="a/7b",
    origin="local",
    num_parameters=7_000_000_000,
    weights_bytes=14_000_000_000,
    context_tokens=32768,
    kv_values_per_token=2 * 28 * 4 * 128,
)


def plan(kind: str = "cuda", num_devices: int = 1, **changes: Any) -> MemoryPlan:
    return memory_plan("vllm", SEVEN_BILLION, kind=kind, num_devices=num_devices, **changes)


def test_a_cpu_computes_in_float32_and_a_gpu_in_16_bits() -> None:
    assert plan("cpu").weights_bytes == 28_000_000_000
    assert plan("cuda").weights_bytes == 14_000_000_000
    quantized = SEVEN_BILLION.model_copy(update={"weights_bytes": 4_000_000_000})
    assert memory_plan("vllm", quantized, kind="cuda").weights_bytes == 4_000_000_000


def test_the_cache_holds_at_least_one_context() -> None:
    one = 2 * 28 * 4 * 128 * 32768 * 2
    assert plan().least_kv_cache_bytes == one
    assert one <= plan().kv_cache_bytes <= 4 * GIB
    assert plan(context_tokens=1024).least_kv_cache_bytes == one // 32
    assert plan("cpu").kv_cache_bytes == plan("cpu").least_kv_cache_bytes == 2 * one


def test_devices_share_weights_and_cache() -> None:
    assert plan(num_devices=2).weights_bytes == 7_000_000_000
    assert plan(num_devices=2).least_kv_cache_bytes == plan().least_kv_cache_bytes // 2


def test_a_configured_cache_is_taken_as_it_is() -> None:
    assert plan(kv_cache_bytes=123).kv_cache_bytes == 123


def test_the_engine_gets_the_rest_of_its_share() -> None:
    found = plan()
    share = found.total_bytes + 1000
    assert found.engine_kv_cache_bytes("cuda", share) == found.kv_cache_bytes + 1000
    assert found.engine_kv_cache_bytes("cuda", 0) == 0, "vLLM measures a whole GPU itself"
    assert plan("cpu").engine_kv_cache_bytes("cpu", 0) == plan("cpu").kv_cache_bytes


def test_too_small_a_share_is_explained() -> None:
    found = plan()
    assert shortage(found, 0) == ""
    assert shortage(found, found.least_bytes) == ""
    said = shortage(found, 8 * GIB)
    assert said.startswith("8.00 GiB of each device are too few: the weights need 13.04 GiB")
    assert said.endswith("are advised.")


def test_an_unknown_shape_gets_a_cache_too() -> None:
    unknown = SEVEN_BILLION.model_copy(update={"kv_values_per_token": 0})
    assert memory_plan("vllm", unknown, kind="cpu").kv_cache_bytes == GIB
    embeds = unknown.model_copy(update={"supports_completion": False})
    assert memory_plan("vllm", embeds, kind="cpu").kv_cache_bytes == 0


def test_the_echo_engine_needs_next_to_nothing() -> None:
    assert memory_plan("echo", None, kind="cpu").total_bytes < GIB


def test_a_cache_that_somebody_asked_for_is_what_the_engine_gets() -> None:
    found = plan(kv_cache_bytes=3 * GIB)
    assert found.engine_kv_cache_bytes("cuda", 0) == 3 * GIB
    assert found.engine_kv_cache_bytes("cuda", 40 * GIB) == 3 * GIB
    assert "the key-value cache 3.00 GiB" in shortage(found, 8 * GIB)


def test_the_cache_is_for_as_many_requests_as_run() -> None:
    one = plan(context_tokens=1024).least_kv_cache_bytes
    assert plan(context_tokens=1024, num_requests=3).kv_cache_bytes == 3 * one
    assert plan(context_tokens=1024, num_requests=500).kv_cache_bytes == 16 * one


def test_quantized_weights_are_about_half() -> None:
    found = memory_plan("vllm", SEVEN_BILLION, kind="cuda", quantization="fp8")
    assert found.weights_bytes == int(0.55 * 14_000_000_000)
    small = SEVEN_BILLION.model_copy(update={"weights_bytes": 4_000_000_000})
    assert memory_plan("vllm", small, kind="cuda", quantization="fp8").weights_bytes == 4 * 10**9


@pytest.mark.parametrize("name", ["deepseek-coder-v2/lite-base", "glm-4.7/flash"])
def test_a_latent_cache_is_whole_on_each_device_that_shares_a_layer(name: str) -> None:
    model = load_catalogue()[name]
    alone = memory_plan("vllm", model, kind="cuda", num_devices=1)
    spread = memory_plan("vllm", model, kind="cuda", num_devices=4)
    assert spread.weights_bytes == alone.weights_bytes // 4
    assert spread.least_kv_cache_bytes == alone.least_kv_cache_bytes
