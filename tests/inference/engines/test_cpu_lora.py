"""The sums of `GroupedLora` are those of vLLM's interface, whatever the batch is made of."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # importing vLLM warns

NUM_SLOTS, RANK, INPUTS = 3, 4, 10
OUTPUTS = (6, 8)
SLOT_IDS = [11, 12, 13]


@pytest.fixture(scope="module")
def cpu_lora() -> Any:
    return importlib.import_module("services.inference.engines.cpu_lora")


def lora(cpu_lora: Any, ids: list[int]) -> Any:
    """Told which adapter each token of a batch is for; 0 for none."""
    found = cpu_lora.GroupedLora(64, 64, "cpu")
    mapping = importlib.import_module("vllm.lora.layers").LoRAMapping(
        tuple(ids), tuple(ids), is_prefill=True
    )
    found.update_metadata(mapping, SLOT_IDS, NUM_SLOTS, vocab_size=100)
    return found


@pytest.mark.parametrize(
    "ids",
    [[11] * 7, [0] * 7, [0, 13, 13, 0, 11, 12, 13], [13, 0, 13]],
    ids=["one adapter", "the base", "all", "the last slot and the base"],
)
def test_each_token_gets_its_own_adapter_and_the_base_none(cpu_lora: Any, ids: list[int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(len(ids), INPUTS)
    a = tuple(torch.randn(NUM_SLOTS, 1, RANK, INPUTS) for _ in OUTPUTS)
    b = tuple(torch.randn(NUM_SLOTS, 1, size, RANK) for size in OUTPUTS)
    y = torch.randn(len(ids), sum(OUTPUTS))
    wanted = y.clone()
    for token, adapter in enumerate(ids):
        if adapter:
            slot = SLOT_IDS.index(adapter)
            parts = [b[i][slot, 0] @ (a[i][slot, 0] @ x[token]) for i in range(len(OUTPUTS))]
            wanted[token] += 0.5 * torch.cat(parts)
    lora(cpu_lora, ids).add_lora_linear(y, x, a, b, 0.5, OUTPUTS)
    torch.testing.assert_close(y, wanted)


def test_a_batch_of_one_adapter_is_not_copied(cpu_lora: Any) -> None:
    assert cpu_lora.grouped(torch.tensor([2, 2])) == [(2, slice(0, 2))]
    assert cpu_lora.grouped(torch.tensor([-1, -1])) == []
