"""The order that an attempt gives its trainer: the plan of the run, and this host's paths."""

from __future__ import annotations

from pathlib import Path

from services.cluster.pb.v1 import finetune_pb2 as pb
from services.finetune import parameters, schedule
from services.finetune.files import TEST, TRAIN
from services.finetune.trainer.messages import TrainingOrder


def training_order(
    payload: pb.RunJob,
    *,
    model_folder: Path,
    dataset_folder: Path,
    output_folder: Path,
    resume_folder: Path | None,
    device_kind: str,
    num_threads: int,
    num_test_tokens: int,
) -> TrainingOrder:
    plan, chosen = payload.plan, payload.plan.parameters
    schedule_name = parameters.given(chosen)["lr_schedule"]
    num_test_sequences = schedule.num_sequences(num_test_tokens, chosen.context_tokens)
    return TrainingOrder(
        model_folder=str(model_folder),
        model=plan.model,
        train_file=str(dataset_folder / TRAIN),
        test_file=str(dataset_folder / TEST),
        output_folder=str(output_folder),
        resume_folder=str(resume_folder or ""),
        device_kind=device_kind,
        num_threads=num_threads,
        measure_every_steps=schedule.measure_every_steps(
            chosen.train_steps, chosen.batch_size, num_test_sequences
        ),
        micro_batch_size=plan.micro_batch_size,
        lora_r=chosen.lora_r,
        lora_alpha=chosen.lora_alpha,
        lora_init_scale=chosen.lora_init_scale,
        lora_dropout=chosen.lora_dropout,
        target_modules=list(chosen.target_modules),
        learning_rate=chosen.learning_rate,
        lr_schedule=str(schedule_name),
        warmup_num_steps=chosen.warmup_num_steps,
        lr_decay_steps=chosen.lr_decay_steps,
        lr_decay_factor=chosen.lr_decay_factor,
        train_steps=chosen.train_steps,
        batch_size=chosen.batch_size,
        weight_decay=chosen.weight_decay,
        context_tokens=chosen.context_tokens,
        fim_share=chosen.fim_share,
        low_gpu_mem_mode=chosen.low_gpu_mem_mode,
        seed=chosen.seed,
        early_stop_share=chosen.early_stop_share,
        time_limit_seconds=chosen.time_limit_seconds,
    )
