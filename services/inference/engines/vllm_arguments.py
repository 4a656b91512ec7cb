"""What vLLM is started with. Needs nothing of vLLM but the names of its arguments."""

from __future__ import annotations

from typing import Any

from services.inference.engines.base import EngineConfig

# Not before it: vLLM resolves the name in its worker, which is tied to its parent by the import.
_WORKER = "services.inference.engines.worker_guard.WorkerGuard"
_CPU_WORKER = "services.inference.engines.cpu_lora.CpuWorker"
_MAX_LOGPROBS = 20
_AS_MUCH_AS_FITS = -1
_LONGEST_NGRAM = 4
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
        "tensor_parallel_size": config.num_devices,
        "max_num_seqs": config.max_running,
        "trust_remote_code": False,
        "load_format": "safetensors",
        "scheduling_policy": "priority",
        "worker_extension_cls": _CPU_WORKER if on_cpu else _WORKER,
        "enable_log_requests": False,
        "max_logprobs": _MAX_LOGPROBS,
        "enable_sleep_mode": config.can_sleep and not on_cpu,
    }
    if config.embeds:
        return arguments | {"runner": "pooling"}
    return arguments | {
        "enable_prefix_caching": True,
        # Not on a CPU: vLLM's n-grams need numba (with LLVM), which is not installed for CPUs.
        "speculative_config": None if on_cpu else _ngrams(config.speculative_tokens),
        "reasoning_parser": config.reasoning_parser,  # until where a form does not hold
        "enable_lora": True,
        "max_lora_rank": config.max_lora_rank,
        "max_loras": config.max_loras_in_batch,
        "max_cpu_loras": max(config.max_loaded_adapters, config.max_loras_in_batch),
    }


def _ngrams(num_tokens: int) -> dict[str, Any] | None:
    if not num_tokens:
        return None
    return {
        "method": "ngram",
        "num_speculative_tokens": num_tokens,
        "prompt_lookup_min": 2,
        "prompt_lookup_max": _LONGEST_NGRAM,
    }
