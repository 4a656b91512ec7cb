"""Export: a training checkpoint as a Hugging Face model folder that transformers and vLLM load.

Run: ``python -m services.finetune.starter.export --to DIR [--checkpoint last.pt]``.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from services.finetune.starter import WORK_DIR
from services.finetune.starter.examples import CHAT_SYSTEM
from services.finetune.starter.model import ModelShape
from services.finetune.starter.tokenizer import (
    END_OF_TEXT,
    FIM_PAD,
    IM_END,
    IM_START,
    SPECIAL_TOKENS,
)

CHAT_TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\\n"
    + CHAT_SYSTEM
    + "<|im_end|>\\n' }}{%- endif %}"
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def model_config(shape: ModelShape, ids: dict[str, int]) -> dict[str, Any]:
    """config.json of a Qwen2ForCausalLM.

    Weights are stored as bfloat16 and meant to be computed in float32 on CPU.
    """
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "attention_dropout": 0.0,
        "bos_token_id": ids[END_OF_TEXT],
        "eos_token_id": ids[END_OF_TEXT],
        "pad_token_id": ids[FIM_PAD],
        "hidden_act": "silu",
        "hidden_size": shape.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate_size,
        "max_position_embeddings": shape.max_positions,
        "num_attention_heads": shape.num_heads,
        "num_hidden_layers": shape.num_layers,
        "num_key_value_heads": shape.num_kv_heads,
        "rms_norm_eps": shape.norm_eps,
        "rope_theta": shape.rope_theta,
        "tie_word_embeddings": True,
        "dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": shape.vocab_size,
    }


def tokenizer_config(shape: ModelShape) -> dict[str, Any]:
    """tokenizer_config.json, as Qwen2.5-Coder's."""
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "bos_token": None,
        "eos_token": END_OF_TEXT,
        "pad_token": FIM_PAD,
        "unk_token": None,
        "additional_special_tokens": [t for t in SPECIAL_TOKENS if t not in (END_OF_TEXT, FIM_PAD)],
        "model_max_length": shape.max_positions,
        "chat_template": CHAT_TEMPLATE,
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def export(checkpoint: Path, tokenizer_json: Path, to: Path) -> None:
    """Write config, weights and tokenizer; the head is the embedding and is not stored."""
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    shape = ModelShape(**state["shape"])
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    vocabulary = tokenizer.get_vocab()
    ids = {token: vocabulary[token] for token in SPECIAL_TOKENS}
    to.mkdir(parents=True, exist_ok=True)
    weights = {
        name: tensor.to(torch.bfloat16).contiguous() for name, tensor in state["model"].items()
    }
    partial = to / "model.safetensors.partial"
    save_file(weights, partial, metadata={"format": "pt"})
    partial.replace(to / "model.safetensors")
    shutil.copyfile(tokenizer_json, to / "tokenizer.json")
    write_json(to / "config.json", model_config(shape, ids))
    write_json(to / "tokenizer_config.json", tokenizer_config(shape))
    (to / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    ends = [ids[END_OF_TEXT], ids[IM_END], ids[IM_START]]
    write_json(
        to / "generation_config.json",
        {"bos_token_id": ids[END_OF_TEXT], "eos_token_id": ends, "pad_token_id": ids[FIM_PAD]}
        | {"do_sample": True, "temperature": 0.2, "top_p": 0.95},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK_DIR)
    parser.add_argument("--checkpoint", default="last.pt")
    parser.add_argument("--to", type=Path, required=True)
    arguments = parser.parse_args()
    work: Path = arguments.work
    export(
        work / "checkpoints" / arguments.checkpoint,
        work / "tokenizer" / "tokenizer.json",
        arguments.to,
    )
    print(
        arguments.to / "model.safetensors",
        (arguments.to / "model.safetensors").stat().st_size,
        "bytes",
    )


if __name__ == "__main__":
    main()
