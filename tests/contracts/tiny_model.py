"""A Qwen2 of random weights, small enough to start in no time, and LoRAs for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

from tests.inference.tiny_tokenizer import write_tokenizer

CONTEXT_TOKENS = 512
_LOGIT_SCALE = 0.4  # of the head's rows: the printable tokens differ by some nats


def write_model(folder: Path) -> None:
    """Greedy, it says printable ASCII only and never ends by itself: other tokens have logit 0."""
    tokenizer = write_tokenizer(folder)
    end = tokenizer.token_to_id("<|endoftext|>")
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=False,
        eos_token_id=end,
        bos_token_id=end,
    )
    model = Qwen2ForCausalLM(config).float()
    with torch.no_grad():
        head = model.lm_head.weight
        head.zero_()
        printable = tokenizer.encode("".join(map(chr, range(32, 127)))).ids
        head[printable] = torch.randn(len(printable), config.hidden_size) * _LOGIT_SCALE
    model.save_pretrained(folder)


def write_adapter(model_folder: Path, folder: Path, rank: int = 8, seed: int = 1) -> None:
    """A LoRA as peft makes it, that changes the model: its B matrices are noise instead of zero."""
    torch.manual_seed(seed)
    base = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=["q_proj", "v_proj", "down_proj"]
    )
    model = get_peft_model(base, config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)


def mean_loss(model_folder: Path, token_ids: Sequence[int]) -> float:
    """In nats for each token but the first, as transformers computes it."""
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    ids = torch.tensor([token_ids])
    with torch.no_grad():
        return float(model(input_ids=ids, labels=ids).loss)
