"""The environment variables that vLLM and torch read when they are imported."""

from __future__ import annotations

from collections.abc import Sequence

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"  # what torch sees of the host's GPUs, by UUID


def engine_environment(
    device_kind: str, device_ids: Sequence[str], num_threads: int
) -> dict[str, str]:
    """For the process of a replica, set before it starts. `device_ids` are the GPUs' UUIDs."""
    environment = {
        "HF_HUB_OFFLINE": "1",  # weights are on this host; nothing is fetched in passing
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork would copy the threads of gRPC
        "DO_NOT_TRACK": "1",
        "VLLM_CONFIGURE_LOGGING": "0",  # its lines go through the replica's own log
        "TOKENIZERS_PARALLELISM": "false",
        "GRPC_ENABLE_FORK_SUPPORT": "0",
    }
    if device_kind == "cuda":
        return environment | {VISIBLE_DEVICES: ",".join(device_ids)}
    return environment | {
        VISIBLE_DEVICES: "",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # worker and engine in one process
        "TORCHDYNAMO_DISABLE": "1",  # helpers of vLLM would be compiled by g++, if there is one
        "OMP_NUM_THREADS": str(num_threads),
    }
