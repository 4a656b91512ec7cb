"""The base with a low-rank adapter on it (arXiv:2106.09685, in peft's format)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM

from services.finetune.trainer import packing
from services.finetune.trainer.examples import NO_LOSS
from services.finetune.trainer.messages import TrainingOrder


@dataclass(frozen=True)
class SequenceLoss:
    """`total`: sum of the losses in nats, with its graph where one is wanted."""

    total: Tensor
    num_tokens: int


class TrainedModel:
    """`trainable`: the adapter's parameters by name, in float32."""

    def __init__(self, order: TrainingOrder, folder: str) -> None:
        """`folder` has the base. Raises ValueError when no module has a wanted name."""
        self.device = torch.device("cuda" if order.device_kind == "cuda" else "cpu")
        # float32 on a CPU: bfloat16 there is emulated on most, and Adam's steps would round away.
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        base = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation="sdpa",
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
        )
        base.config.use_cache = False
        if order.low_gpu_mem_mode:
            base.gradient_checkpointing_enable({"use_reentrant": False})
            base.enable_input_require_grads()
        config = LoraConfig(
            r=order.lora_r,
            lora_alpha=order.lora_alpha,
            lora_dropout=order.lora_dropout,
            target_modules=list(order.target_modules),
            task_type="CAUSAL_LM",
        )
        self.network: Any = get_peft_model(base, config).to(self.device)
        self.trainable: dict[str, Tensor] = {
            name: parameter
            for name, parameter in self.network.named_parameters()
            if parameter.requires_grad
        }
        with torch.no_grad():
            for name, parameter in self.trainable.items():
                if "lora_A" in name:
                    parameter.mul_(order.lora_init_scale)

    def losses(self, sequences: Sequence[packing.Sequence]) -> SequenceLoss:
        """Over the learned tokens of all sequences, each predicted from its own example only.

        Without an attention mask, transformers reads the bounds of the examples from the
        positions, which begin at 0 with each.
        """
        ids, labels, positions = (
            torch.from_numpy(np.stack([getattr(s, name) for s in sequences])).to(self.device)
            for name in ("ids", "labels", "positions")
        )
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = self.network(input_ids=ids, position_ids=positions, use_cache=False).logits
        targets = labels[:, 1:].reshape(-1)
        learned = targets != NO_LOSS
        # Only rows that are learned become float32: the vocabulary is the widest thing there is.
        rows = logits[:, :-1].reshape(-1, logits.shape[-1])[learned].float()
        total = functional.cross_entropy(rows, targets[learned], reduction="sum")
        return SequenceLoss(total, int(learned.sum()))

    def peak_bytes(self) -> int:
        """Of the device since the last call; 0 on a CPU, which has no such counter."""
        if self.device.type != "cuda":
            return 0
        peak = int(torch.cuda.max_memory_allocated())
        torch.cuda.reset_peak_memory_stats()
        return peak
