from __future__ import annotations

import signal

import pytest

from services.inference.agent.advice import advised
from services.inference.agent.replica_process import describe_status


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        # As vLLM 0.32, torch 2.13 and the system say it.
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
            "Lower context_tokens",
        ),
        (
            "Free memory on device cuda:0 (3.1/23.6 GiB) on startup is less than desired GPU memory"
            " utilization (0.92, 21.7 GiB).",
            "Something else uses the GPU",
        ),
        (
            "To serve at least one request with the model's max seq len (32768), 1.75 GiB KV cache"
            " is needed, which is larger than the available KV cache memory (1.0 GiB). Based on the"
            " available memory, the estimated maximum model length is 18720.",
            "Lower context_tokens, or raise",
        ),
        ("Bfloat16 is only supported on GPUs with compute capability of at least 8.0.", "too old"),
        ("Model architectures ['XForCausalLM'] are not supported for now.", "deploy another one"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/m'", "add it again"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("OSError: [Errno 98] Address already in use", "HEARTH_RPC_PORT"),
        (describe_status(-signal.SIGKILL), "the host's memory is too small"),
    ],
)
def test_what_is_known_has_an_advice(reason: str, advice: str) -> None:
    said = advised(reason)
    assert said.startswith(reason.rstrip("."))
    assert advice in said
    assert said.endswith(".")


def test_what_is_not_known_stays_as_it_was_said() -> None:
    assert advised("it ended with status 3") == "it ended with status 3"
