"""What a person can do about the last words of a replica: a table, the first row that matches."""

from __future__ import annotations

import re

_GPU_MEMORY = (
    "Lower context_tokens, max_running_requests or kv_cache_bytes, raise device_bytes, set"
    " quantization to fp8, or spread it over more devices."
)
_ADVICE = tuple(
    (re.compile(pattern, re.IGNORECASE), advice)
    for pattern, advice in (
        (r"CUDA out of memory|OutOfMemoryError|CUDA error: out of memory", _GPU_MEMORY),
        (
            r"Free memory on device .* is less than",
            "Something else uses the GPU: end it, or lower device_bytes.",
        ),
        (
            r"larger than the available KV cache memory|estimated maximum model length"
            r"|max_model_len .* (is larger|exceeds)",
            "Lower context_tokens, or raise device_bytes or kv_cache_bytes.",
        ),
        (r"No available memory for the cache blocks", _GPU_MEMORY),
        (
            r"SIGKILL|Cannot allocate memory|std::bad_alloc|MemoryError|DefaultCPUAllocator",
            "If nobody killed it, the host's memory is too small: lower kv_cache_bytes or"
            " context_tokens, or stop another deployment or run.",
        ),
        (
            r"Bfloat16 is only supported|compute capability|no kernel image",
            "This GPU is too old for these weights or this quantization: take others.",
        ),
        (
            r"NVIDIA driver|CUDA driver version|libcuda|No CUDA GPUs are available",
            "Update the GPU's driver, and look whether nvidia-smi shows the GPU.",
        ),
        (r"NCCL|ncclUnhandledCudaError", "The GPUs do not reach each other: spread it over fewer."),
        (
            r"Model architectures? .* (is|are) not supported|no module or parameter named",
            "The engine does not know this kind of model: deploy another one.",
        ),
        (
            r"SafetensorError|HeaderTooLarge|MetadataIncompleteBuffer|incomplete metadata",
            "Its weights are damaged: remove the model and add it again.",
        ),
        (
            r"No such file|FileNotFoundError|does not appear to have a file|Cannot find any",
            "A file of the model is missing: remove the model and add it again.",
        ),
        (r"No space left on device", "The host's disk is full: free some of it."),
        (
            r"Address already in use",
            "Another process has its port: leave HEARTH_RPC_PORT and HEARTH_METRICS_PORT at 0.",
        ),
        (
            r"Permission denied",
            "The user that Hearth runs as may not read it: change the owner of the file.",
        ),
    )
)


def advised(reason: str) -> str:
    """The reason, with what to do about it where that is known."""
    for pattern, advice in _ADVICE:
        if pattern.search(reason):
            return f"{reason.rstrip('. ')}. {advice}"
    return reason
