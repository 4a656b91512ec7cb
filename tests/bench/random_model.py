"""A Llama of 50 million random weights, with the starter model's tokenizer.

`python -m tests.bench.random_model FOLDER` writes it there.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from services.inference.tokenization import TOKENIZER_FILE
from tests.bench.prompts import STARTER


def main(folder: Path) -> None:
    for name in (TOKENIZER_FILE, "tokenizer_config.json"):
        shutil.copy(STARTER / name, folder)
    torch.manual_seed(0)
    vocabulary_size = Tokenizer.from_file(str(folder / TOKENIZER_FILE)).get_vocab_size()
    config = LlamaConfig(
        vocab_size=vocabulary_size,
        hidden_size=512,
        intermediate_size=1664,
        num_hidden_layers=12,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        eos_token_id=vocabulary_size - 1,
        bos_token_id=vocabulary_size - 1,
    )
    LlamaForCausalLM(config).float().save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
