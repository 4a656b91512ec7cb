from __future__ import annotations

from pathlib import Path
from typing import Any

from services.inference.engines.base import EngineConfig
from services.inference.engines.vllm_arguments import engine_arguments


def arguments(**changes: Any) -> dict[str, Any]:
    fields = {"model": "m", "model_folder": Path("/m"), "device_kind": "cuda", **changes}
    return engine_arguments(EngineConfig(**fields))


def test_nothing_of_a_model_is_executed() -> None:
    for embeds in (False, True):
        found = arguments(embeds=embeds)
        assert found["trust_remote_code"] is False
        assert found["load_format"] == "safetensors"
        assert found["enable_log_requests"] is False  # a prompt is nobody's business
        assert found["worker_extension_cls"].endswith("worker_guard.WorkerGuard")


def test_lora_is_our_own_on_a_processor_only() -> None:
    on_cpu = arguments(device_kind="cpu")["worker_extension_cls"]
    assert on_cpu == "services.inference.engines.cpu_lora.CpuWorker"
    assert arguments()["worker_extension_cls"].endswith("worker_guard.WorkerGuard")


def test_a_gpu_is_used_as_it_is_best() -> None:
    found = arguments(num_devices=2, kv_cache_bytes=7)
    assert (found["dtype"], found["enforce_eager"]) == ("auto", False)
    assert found["tensor_parallel_size"] == 2
    assert found["kv_cache_memory_bytes"] == 7
    assert arguments()["kv_cache_memory_bytes"] is None  # what the GPU has left


def test_a_cpu_never_gives_all_its_memory() -> None:
    found = arguments(device_kind="cpu")
    assert (found["dtype"], found["enforce_eager"]) == ("float32", True)
    assert found["kv_cache_memory_bytes"] == 1024**3


def test_the_context_is_as_wanted_or_as_long_as_fits() -> None:
    assert arguments(context_tokens=512)["max_model_len"] == 512
    assert arguments()["max_model_len"] == -1


def test_adapters_have_room_in_the_batch_and_beside_it() -> None:
    found = arguments(max_lora_rank=32, max_loras_in_batch=4, max_loaded_adapters=2)
    assert (found["max_lora_rank"], found["max_loras"], found["max_cpu_loras"]) == (32, 4, 4)
    assert "enable_lora" not in arguments(embeds=True)
    assert arguments(embeds=True)["runner"] == "pooling"


def test_sleep_takes_a_gpu_and_a_wish() -> None:
    assert arguments(can_sleep=True)["enable_sleep_mode"]
    assert not arguments()["enable_sleep_mode"]
    assert not arguments(can_sleep=True, device_kind="cpu")["enable_sleep_mode"]


def test_tokens_are_guessed_only_where_it_is_wanted() -> None:
    assert arguments()["speculative_config"] is None
    found = arguments(speculative_tokens=3)["speculative_config"]
    assert (found["method"], found["num_speculative_tokens"]) == ("ngram", 3)
    on_cpu = arguments(speculative_tokens=3, device_kind="cpu")
    assert on_cpu["speculative_config"] is None


def test_the_reasoning_parser_is_known_where_forms_are_held_to() -> None:
    assert arguments(reasoning_parser="qwen3")["reasoning_parser"] == "qwen3"
