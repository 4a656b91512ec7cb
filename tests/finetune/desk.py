"""Plans and requests on real Redis, without a worker: a created run stays queued."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.cluster.artifacts.store import ArtifactStore
from services.cluster.datasets import Datasets as DatasetRecords
from services.cluster.devices.assignments import Devices
from services.cluster.devices.records import GIB, DeviceRecord
from services.cluster.jobs.queue import JobQueue
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.cluster.project_records import ProjectRecord
from services.cluster.projects import Projects
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.cluster.runs import Runs
from services.cluster.store.connection import Store
from services.finetune.bases import Bases
from services.finetune.checkpoints import Checkpoints
from services.finetune.datasets import Datasets
from services.finetune.plan import Planner
from services.finetune.publishing import Publishing
from services.finetune.requests import RunRequests
from services.finetune.run_files import RunFiles
from tests.finetune.datasets import DATASET, PROJECT, write_dataset

MODEL = "test/tiny"


@dataclass
class Desk:
    requests: RunRequests
    planner: Planner
    devices: Devices
    registry: Registry
    files: RunFiles
    queue: JobQueue


async def publish_device(devices: Devices, total_bytes: int) -> None:
    device = DeviceRecord(
        device_id="cpu-here", host_id="here", kind="cpu", name="CPU", total_bytes=total_bytes
    )
    await devices.publish("here", [device])


def tiny(folder: Path, **changes: object) -> ModelRecord:
    """The record of the tiny model."""
    fields = {
        "name": MODEL,
        "origin": "local",
        "local_path": str(folder),
        "context_tokens": 512,
        "fim_family": "qwen2.5-coder",
        "supports_finetune": True,
    }
    return ModelRecord.model_validate({**fields, **changes})


async def make_desk(store: Store, model_folder: Path, folder: Path) -> Desk:
    artifacts, registry, devices = ArtifactStore(folder), Registry(store), Devices(store)
    write_dataset(artifacts)
    write_dataset(artifacts, "foreign", project_id="p2", num_train=0)
    for project_id in (PROJECT, "p2"):
        project = ProjectRecord(
            project_id=project_id, team_id="t", name=project_id, created_at=1.0, updated_at=1.0
        )
        await Projects(store).create(project)
    await registry.put_model(tiny(model_folder))
    await registry.put_model(
        ModelRecord(name="test/chat", origin="local", local_path=str(model_folder))
    )
    await publish_device(devices, 4 * GIB)
    checkpoints, runs, queue = Checkpoints(artifacts), Runs(store), JobQueue(store)
    planner = Planner(
        Bases(registry, "here", folder),
        Datasets(artifacts),
        DatasetRecords(store),
        Projects(store),
        devices,
        "here",
    )
    publishing = Publishing(artifacts, checkpoints, registry, runs)
    requests = RunRequests(queue, runs, planner, checkpoints, publishing)
    return Desk(requests, planner, devices, registry, RunFiles(folder), queue)


def spec(**changes: object) -> pb.RunSpec:
    return pb.RunSpec(**{"project_id": PROJECT, "dataset_id": DATASET, "model": MODEL, **changes})  # type: ignore[arg-type]
