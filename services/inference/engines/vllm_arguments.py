"""What vLLM is started with. Needs nothing of vLLM but the names of its arguments."""

from __future__ import annotations

from typing import Any

from services.inference.engines.base import EngineConfig

# Not before it: vLLM resolves the name in its worker, which is tied to its parent by the import.
_WORKER = "services.inference.engines.worker_guard.WorkerGuard"
_CPU_WORKER = "services.inference.engines.cpu_lora.CpuWorker"
_MAX_LOGPROBS = 20
_AS_MUCH_AS_FITS = -1
# vLLM 0.32 means by "fp8" weights that are so on disk; this one makes them so.
_QUANTIZATIONS = {"": None, "fp8": "fp8_per_tensor"}
# Texts of fewer tokens are found in the prompt by chance; longer ones are rare.
_SHORTEST_MATCH, _LONGEST_MATCH = 2, 5
# Without a figure vLLM takes 92 % of the memory: right for a GPU, not for a host that others use.
_CPU_KV_CACHE_BYTES = 1024**3


def engine_arguments(config: EngineConfig) -> dict[str, Any]:
    """Fields of vLLM's AsyncEngineArgs."""
    on_cpu = config.device_kind == "cpu"
    arguments: dict[str, Any] = {
        "model": str(config.model_folder),
        "served_model_name": config.model,
        "dtype": "float32" if on_cpu else "auto",
        "enforce_eager": on_cpu,
        "max_model_len": config.context_tokens or _AS_MUCH_AS_FITS,
        "kv_cache_memory_bytes": config.kv_cache_bytes or (_CPU_KV_CACHE_BYTES if on_cpu else None),
        "tensor_parallel_size": config.tensor_parallel,
        "pipeline_parallel_size": config.pipeline_parallel,
        "quantization": _QUANTIZATIONS[config.quantization],
        "max_num_seqs": config.max_running,
        "trust_remote_code": False,
        "load_format": "safetensors",
        "scheduling_policy": "priority",
        "worker_extension_cls": _CPU_WORKER if on_cpu else _WORKER,
        "enable_log_requests": False,
        "max_logprobs": _MAX_LOGPROBS,
        "enable_sleep_mode": config.can_sleep and not on_cpu,
    }
    if config.device_share and not on_cpu:
        # It starts only where so much is free, even if it is told how large its cache is.
        arguments["gpu_memory_utilization"] = config.device_share
    if config.embeds:
        return arguments | {"runner": "pooling"}
    if config.speculative_tokens:
        arguments["speculative_config"] = {
            "method": "ngram",
            "num_speculative_tokens": config.speculative_tokens,
            "prompt_lookup_min": _SHORTEST_MATCH,
            "prompt_lookup_max": _LONGEST_MATCH,
        }
    return arguments | {
        "enable_prefix_caching": True,
        "reasoning_parser": config.reasoning_parser,  # until where a form does not hold
        "enable_lora": config.takes_adapters,
        "max_lora_rank": config.max_lora_rank,
        "max_loras": config.max_loras_in_batch,
        "max_cpu_loras": max(config.max_loaded_adapters, config.max_loras_in_batch),
    }
