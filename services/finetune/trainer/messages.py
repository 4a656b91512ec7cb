"""What the service tells its trainer once (an order) and the trainer says back, a JSON line each.

A pipe and JSON rather than RPC: the trainer is a child that lives as long as one attempt, and what
it said last is whole or absent when it is killed.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class TrainingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a run. Paths are absolute; `resume_folder` is "" at the beginning of a run.

    `measure_every_steps`: after so many steps the test loss is measured and a checkpoint written.
    """

    model_folder: str
    model: str
    train_file: str
    test_file: str
    output_folder: str
    resume_folder: str
    device_kind: str
    num_threads: int
    measure_every_steps: int
    micro_batch_size: int
    lora_r: int
    lora_alpha: float
    lora_init_scale: float
    lora_dropout: float
    target_modules: list[str]
    learning_rate: float
    lr_schedule: str
    warmup_num_steps: int
    lr_decay_steps: int
    lr_decay_factor: float
    train_steps: int
    batch_size: int
    weight_decay: float
    context_tokens: int
    fim_share: float
    low_gpu_mem_mode: bool
    seed: int
    early_stop_share: float
    time_limit_seconds: int


class Started(msgspec.Struct, frozen=True, tag="started", kw_only=True):
    """The base is loaded and the data are read."""

    step: int
    num_test_sequences: int
    num_trainable: int


class StepDone(msgspec.Struct, frozen=True, tag="step", kw_only=True):
    """As RunMetrics of the proto. `num_epochs`: passes over train so far."""

    step: int
    train_loss: float
    test_loss: float | None
    learning_rate: float
    gradient_norm: float
    num_tokens: int
    num_epochs: float
    tokens_per_second: float
    peak_device_bytes: int
    trained_seconds: float


class CheckpointWritten(msgspec.Struct, frozen=True, tag="checkpoint", kw_only=True):
    """Every file of it is in `folder`, which the trainer does not touch again."""

    step: int
    folder: str
    train_loss: float
    test_loss: float | None


class Said(msgspec.Struct, frozen=True, tag="log", kw_only=True):
    level: str
    text: str


class Ended(msgspec.Struct, frozen=True, tag="ended", kw_only=True):
    """The last word of a trainer that ends as it should. `stopped`: because it was told to."""

    step: int
    stopped: bool
    reason: str


class Failed(msgspec.Struct, frozen=True, tag="failed", kw_only=True):
    """The last word of one that cannot go on; another attempt would end the same."""

    reason: str


TrainerMessage: TypeAlias = Started | StepDone | CheckpointWritten | Said | Ended | Failed

_decoder: msgspec.json.Decoder[TrainerMessage] = msgspec.json.Decoder(TrainerMessage)


def decode(line: bytes) -> TrainerMessage:
    """Raises msgspec.DecodeError."""
    return _decoder.decode(line)


def encode(message: TrainerMessage) -> bytes:
    return msgspec.json.encode(message) + b"\n"
