"""LoRA on CPU, adapter by adapter. vLLM imports this in its workers on hosts without a GPU.

vLLM's own CPU operations copy an adapter's weights once for every token of a batch: a prompt of
1000 tokens moves gigabytes, and a request for an adapter is 10 to 20 times slower than one for the
base. They also take the slot -1, which means "no adapter", for the last one, so that in a mixed
batch with all slots full the base answers as an adapter (docs/adr/0009-lora-on-cpu.md).
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.platforms.cpu import CpuPlatform

from services.inference.engines.worker_guard import WorkerGuard

_NO_ADAPTER = -1
_Rows = torch.Tensor | slice


class GroupedLora(PunicaWrapperCPU):  # type: ignore[misc]  # vLLM ships no types
    """For linear layers one small matrix product for each adapter of the batch, over its rows."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._groups: list[tuple[int, _Rows]] = []

    def update_metadata(self, *arguments: Any, **named: Any) -> None:
        super().update_metadata(*arguments, **named)
        self._groups = grouped(self.token_lora_indices)

    def _apply_shrink(
        self, y: torch.Tensor, x: torch.Tensor, w_t_all: torch.Tensor, scale: float
    ) -> None:
        """y[rows] = scale * x[rows] A^T. x: (tokens, inputs), y: (tokens, rank)."""
        y = y.view(-1, y.shape[-1])
        for slot, rows in self._groups:
            weights = _matrix(w_t_all, slot).to(y.dtype)
            y[rows, : weights.shape[0]] = scale * (x[rows].to(y.dtype) @ weights.T)

    def _apply_expand(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        w_t_all: torch.Tensor,
        y_offset: int,
        y_slice_size: int,
        add_inputs: bool = True,
    ) -> None:
        """y[rows, slice] += x[rows] B^T. x: (tokens, rank), y: (tokens, outputs)."""
        for slot, rows in self._groups:
            weights = _matrix(w_t_all, slot).to(y.dtype)
            outputs = x[rows].to(y.dtype) @ weights.T
            if add_inputs:
                y[rows, y_offset : y_offset + y_slice_size] += outputs
            else:
                y[rows, y_offset : y_offset + y_slice_size] = outputs


def grouped(slots: torch.Tensor) -> list[tuple[int, _Rows]]:
    """Each adapter's slot and the rows (tokens) that are its own; those without one are left out.

    A slice where all rows are one adapter's, which costs no copy.
    """
    found = [int(slot) for slot in torch.unique(slots)]
    if len(found) == 1 and found[0] != _NO_ADAPTER:
        return [(found[0], slice(0, len(slots)))]
    return [(slot, (slots == slot).nonzero()[:, 0]) for slot in found if slot != _NO_ADAPTER]


def _matrix(stacked: torch.Tensor, slot: int) -> torch.Tensor:
    """stacked: (slots, 1, outputs, inputs) or without the 1."""
    return stacked[slot].squeeze(0) if stacked.dim() == 4 else stacked[slot]


class CpuWorker(WorkerGuard):
    """vLLM's worker as it is; importing it puts `GroupedLora` in place of vLLM's."""


CpuPlatform.get_punica_wrapper = classmethod(lambda cls: f"{__name__}.{GroupedLora.__name__}")
