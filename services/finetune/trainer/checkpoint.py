"""A checkpoint's files: the adapter as peft saves it, and what the next attempt goes on from.

safetensors and JSON only: reading a checkpoint can run no code.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch
from peft import set_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from services.finetune.trainer.model import TrainedModel

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_TENSORS = "training_state.safetensors"
_FIGURES = "training_state.json"
_MOMENTS = ("exp_avg", "exp_avg_sq")


class TrainingState(msgspec.Struct, kw_only=True):
    """The figures of a training after a step. The optimizer's are in the tensors."""

    step: int = 0
    num_tokens: int = 0
    trained_seconds: float = 0.0
    best_test_loss: float | None = None
    best_step: int = 0


def save(
    folder: Path,
    model: TrainedModel,
    optimizer: torch.optim.AdamW,
    state: TrainingState,
    model_name: str,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model.network.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    _name_the_base(folder / ADAPTER_CONFIG, model_name)
    (folder / "README.md").unlink(missing_ok=True)  # peft's form, left blank
    tensors: dict[str, Tensor] = {"rng/cpu": torch.get_rng_state()}
    if model.device.type == "cuda":
        tensors["rng/cuda"] = torch.cuda.get_rng_state()
    for name, parameter in model.trainable.items():
        moments = optimizer.state.get(parameter, {})
        for moment in _MOMENTS:
            if moment in moments:
                tensors[f"{moment}/{name}"] = moments[moment].cpu()
    save_file(tensors, folder / _TENSORS)
    (folder / _FIGURES).write_bytes(msgspec.json.encode(state))


def load(folder: Path, model: TrainedModel, optimizer: torch.optim.AdamW) -> TrainingState:
    """Puts model, optimizer and random numbers where they were after the step."""
    state = msgspec.json.decode((folder / _FIGURES).read_bytes(), type=TrainingState)
    weights = load_file(folder / ADAPTER_WEIGHTS, device=str(model.device))
    set_peft_model_state_dict(model.network, weights)
    with safe_open(folder / _TENSORS, framework="pt") as file:
        names = set(file.keys())
        for name, parameter in model.trainable.items():
            if f"{_MOMENTS[0]}/{name}" not in names:
                continue
            optimizer.state[parameter] = {"step": torch.tensor(float(state.step))} | {
                moment: file.get_tensor(f"{moment}/{name}").to(parameter.device)
                for moment in _MOMENTS
            }
        torch.set_rng_state(file.get_tensor("rng/cpu"))
        if model.device.type == "cuda" and "rng/cuda" in names:
            torch.cuda.set_rng_state(file.get_tensor("rng/cuda"))
    return state


def _name_the_base(place: Path, model_name: str) -> None:
    """The catalogue's name instead of a path of this host, which means nothing elsewhere."""
    config = msgspec.json.decode(place.read_bytes())
    config["base_model_name_or_path"] = model_name
    place.write_bytes(msgspec.json.format(msgspec.json.encode(config), indent=1))
