"""What every attempt works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.cluster.artifacts.fences import Fences
from services.cluster.devices.assignments import Devices
from services.cluster.devices.rooms import Rooms
from services.cluster.registry import Registry
from services.cluster.runs import Runs
from services.finetune.bases import Bases
from services.finetune.checkpoints import Checkpoints
from services.finetune.datasets import Datasets
from services.finetune.evaluation.evaluator import Evaluator
from services.finetune.publishing import Publishing
from services.finetune.run_files import RunFiles
from services.finetune.settings import FinetuneSettings


@dataclass(frozen=True)
class Workshop:
    """`environment` is what trainers inherit."""

    settings: FinetuneSettings
    environment: Mapping[str, str]
    fences: Fences
    devices: Devices
    rooms: Rooms
    registry: Registry
    runs: Runs
    bases: Bases
    datasets: Datasets
    checkpoints: Checkpoints
    publishing: Publishing
    evaluator: Evaluator
    files: RunFiles
