"""Orders for a trainer of the tiny model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.finetune.trainer.messages import TrainingOrder
from tests.finetune.datasets import dataset_files, write_files

_DEFAULTS: dict[str, Any] = {
    "model_folder": "",
    "model": "test/tiny",
    "train_file": "",
    "test_file": "",
    "output_folder": "",
    "resume_folder": "",
    "device_kind": "cpu",
    "num_threads": 1,
    "measure_every_steps": 2,
    "micro_batch_size": 1,
    "lora_r": 8,
    "lora_alpha": 16.0,
    "lora_init_scale": 1.0,
    "lora_dropout": 0.1,
    "target_modules": ["q_proj", "v_proj", "down_proj"],
    "learning_rate": 0.01,
    "lr_schedule": "linear",
    "warmup_num_steps": 1,
    "lr_decay_steps": 6,
    "lr_decay_factor": 0.5,
    "train_steps": 6,
    "batch_size": 2,
    "weight_decay": 0.1,
    "context_tokens": 128,
    "fim_share": 0.5,
    "low_gpu_mem_mode": False,
    "seed": 3,
    "early_stop_share": 0.0,
    "time_limit_seconds": 0,
}


def order(**changes: Any) -> TrainingOrder:
    return TrainingOrder(**{**_DEFAULTS, **changes})


def order_in(folder: Path, model: Path, **changes: Any) -> TrainingOrder:
    """With files to train on, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    write_files(folder / "train.jsonl", dataset_files(range(6)))
    write_files(folder / "test.jsonl", dataset_files(range(100, 102), 2))
    places = {
        "model_folder": str(model),
        "train_file": str(folder / "train.jsonl"),
        "test_file": str(folder / "test.jsonl"),
        "output_folder": str(folder / "output"),
    }
    return order(**{**places, **changes})
