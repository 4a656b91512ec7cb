"""Model folders with a few numbers in them, as transformers would save them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

QWEN_TOKENS = (
    "<|endoftext|>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|fim_pad|>",
    "<|im_start|>",
)
CONFIG: dict[str, object] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
CARD = "---\nlibrary_name: x\nlicense: apache-2.0\ntags:\n- code\n---\n# A model\nlicense: no\n"


def write_model(folder: Path, **changes: object) -> Path:
    """`changes` are of config.json; None takes a field out."""
    folder.mkdir(parents=True)
    config = {name: value for name, value in {**CONFIG, **changes}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({"a": np.zeros((10, 8), np.float16)}, folder / "model-1-of-2.safetensors")
    save_file({"b": np.zeros((5,), np.float16)}, folder / "model-2-of-2.safetensors")
    tokens = [{"id": n, "content": text} for n, text in enumerate(QWEN_TOKENS)]
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
    (folder / "README.md").write_text(CARD)
    return folder
