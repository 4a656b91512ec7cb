"""Settings of the fine-tune service. Its trainers get what they need in their orders."""

from __future__ import annotations

from pydantic import Field

from services.cluster.jobs.queue import LEASE_SECONDS
from services.cluster.settings import ClusterSettings


class FinetuneSettings(ClusterSettings):
    trainer_threads: int = Field(
        1, ge=1, description="Compute threads of a trainer on a CPU; serving needs the others."
    )
    trainer_stop_seconds: float = Field(
        60, ge=0, description="Time that a trainer has to write a checkpoint when it must stop."
    )
    run_lease_seconds: float = Field(
        LEASE_SECONDS,
        gt=0,
        description="After so long without a word of its worker, a run goes to another one.",
    )
    evaluation_wait_seconds: float = Field(
        120, ge=0, description="Longest wait of an evaluation for a ready replica of the model."
    )
    evaluation_concurrency: int = Field(
        4, ge=1, description="Completions that an evaluation asks for at the same time."
    )
