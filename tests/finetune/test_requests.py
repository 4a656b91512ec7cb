"""Plans and requests on real Redis, without a worker: a created run stays queued."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.cluster.artifacts.store import ArtifactStore
from services.cluster.datasets import Datasets as DatasetRecords
from services.cluster.devices.records import GIB, AssignmentRequest
from services.cluster.errors import (
    BadRequest,
    Conflict,
    DevicesUnavailable,
    HearthError,
    ModelNotFound,
    NotFound,
    Unimplemented,
)
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobStatus
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.cluster.project_records import DatasetPart, DatasetRecord, ProjectRecord
from services.cluster.projects import Projects
from services.cluster.store.connection import Store
from services.finetune.parameters import parameter_message
from tests.finetune.datasets import DATASET, PROJECT, write_dataset
from tests.finetune.desk import MODEL, Desk, publish_device, spec, tiny

MODULES = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


async def test_a_plan_fills_everything_in(desk: Desk) -> None:
    asked = spec(model="", parameters=pb.RunParameters(lora_r=8, lora_alpha=4))
    planned = await desk.planner.plan(asked)
    plan = planned.plan
    assert (plan.dataset_id, plan.model) == ("dataset-1", MODEL)
    chosen = plan.parameters
    assert (chosen.lora_r, chosen.lora_alpha, chosen.context_tokens) == (8, 4, 512)
    assert list(chosen.target_modules) == MODULES
    by_name = {choice.name: choice for choice in plan.choices}
    assert len(plan.choices) == len(pb.RunParameters.DESCRIPTOR.fields)
    assert by_name["lora_r"].origin == pb.PARAMETER_ORIGIN_USER
    assert by_name["train_steps"].origin == pb.PARAMETER_ORIGIN_SCHEDULE
    assert by_name["seed"].origin == pb.PARAMETER_ORIGIN_DEFAULT
    memory = plan.memory
    # Seven modules of two layers of the tiny model, rank 8, 16 bytes a value.
    sizes = 4 * (64 + 64) + 2 * (64 + 128) + (128 + 64)
    assert memory.trainable_bytes == 2 * 8 * sizes * 16
    assert plan.fits_now
    assert plan.refusal == ""
    assert plan.num_train_tokens > 1000


async def test_a_plan_says_who_holds_what_it_needs(desk: Desk) -> None:
    await desk.devices.assign(
        AssignmentRequest(holder="replica/r1", device_bytes=int(3.9 * GIB), kind="cpu")
    )
    plan = (await desk.planner.plan(spec())).plan
    assert (plan.fits, plan.fits_now) == (True, False)
    assert "held by replica/r1 (3.9 GiB)" in plan.refusal


async def test_what_can_never_fit_is_not_queued(desk: Desk) -> None:
    await publish_device(desk.devices, GIB // 4)
    plan = (await desk.planner.plan(spec())).plan
    assert not plan.fits
    with pytest.raises(DevicesUnavailable, match="0.2 of 0.2 GiB free"):
        await desk.requests.create(spec(), "")


async def test_a_run_is_created_once_for_a_key(desk: Desk) -> None:
    first = await desk.requests.create(spec(name="a"), "key")
    assert await desk.requests.create(spec(name="a"), "key") == first
    other = await desk.requests.create(spec(), "")
    assert other.job_id != first.job_id
    with pytest.raises(Conflict, match="has a run named a already"):
        await desk.requests.create(spec(name="a"), "")
    jobs, more = await desk.requests.page(PROJECT, (), 0, 10)
    assert ([job.job_id for job in jobs], more) == ([other.job_id, first.job_id], False)
    assert await desk.requests.page("p2", (), 0, 10) == ([], False)
    jobs, more = await desk.requests.page(PROJECT, (), 0, 1)
    assert (len(jobs), more) == (1, True)


async def test_a_queued_run_tells_its_plan_and_can_be_cancelled(desk: Desk) -> None:
    job = await desk.requests.create(spec(), "")
    run = await desk.requests.message(job)
    assert run.status == pb.RUN_STATUS_QUEUED
    assert run.spec.name.startswith("run-")
    assert run.progress.num_total_steps == run.plan.parameters.train_steps
    assert len(run.model_revision) == 64
    assert (await desk.requests.cancel(job.job_id)).status is JobStatus.CANCELLED
    with pytest.raises(Conflict, match="cancelled already"):
        await desk.requests.cancel(job.job_id)


@pytest.mark.parametrize(
    ("changes", "kind", "param", "sentence"),
    [
        ({"name": "a b"}, BadRequest, "name", "is no name for a run"),
        ({"name": "auto"}, BadRequest, "name", "not auto or base"),
        ({"dataset_id": "none"}, NotFound, "dataset_id", "There is no dataset none"),
        ({"dataset_id": "foreign"}, BadRequest, "dataset_id", "belongs to another project"),
        ({"project_id": "p2", "dataset_id": ""}, Conflict, "dataset_id", "has no dataset yet"),
        ({"project_id": "p9", "dataset_id": ""}, NotFound, "", "There is no project p9"),
        (
            {"project_id": "p2", "dataset_id": "foreign"},
            BadRequest,
            "dataset_id",
            "has no file to train on",
        ),
        ({"model": "none"}, ModelNotFound, "model", "There is no model none"),
        ({"model": "test/chat"}, BadRequest, "model", "cannot be fine-tuned"),
        ({"num_devices": 2}, Unimplemented, "num_devices", "takes one device"),
        (
            {"window": pb.RunWindow(start_minute=1440)},
            BadRequest,
            "window.start_minute",
            "less than 1440",
        ),
        ({"window": pb.RunWindow(time_zone="Mars")}, BadRequest, "window", "is no time zone"),
        ({"max_evaluation_cases": 10_001}, BadRequest, "max_evaluation_cases", "at most 10000"),
        (
            {"parameters": pb.RunParameters(target_modules=["x_proj"])},
            BadRequest,
            "target_modules",
            "has no linear module 'x_proj'",
        ),
        (
            {"parameters": pb.RunParameters(context_tokens=1024)},
            BadRequest,
            "context_tokens",
            "reads at most 512",
        ),
    ],
)
async def test_a_bad_request_is_refused_by_the_name_of_its_field(
    desk: Desk, changes: dict[str, object], kind: type[HearthError], param: str, sentence: str
) -> None:
    with pytest.raises(kind, match=sentence) as refused:
        await desk.requests.create(spec(**changes), "")
    assert (refused.value.param or "") == param
    assert await desk.requests.page("", (), 0, 10) == ([], False)


async def test_what_is_no_run_is_not_found(desk: Desk) -> None:
    for run_id in ("scan-1", "run-none", ""):
        with pytest.raises(NotFound, match="There is no run"):
            await desk.requests.job(run_id)


@pytest.mark.parametrize(("scored_by", "mean_loss"), [(MODEL, 1.25), ("test/other", None)])
async def test_a_plan_tells_how_hard_the_dataset_is_for_the_base(
    desk: Desk, store: Store, scored_by: str, mean_loss: float | None
) -> None:
    assert not (await desk.planner.plan(spec())).plan.HasField("mean_loss")
    await _scanned(store, scored_by, 1.25)
    plan = (await desk.planner.plan(spec())).plan
    assert (plan.mean_loss if plan.HasField("mean_loss") else None) == mean_loss


async def _scanned(store: Store, model: str, mean_loss: float) -> None:
    """The dataset of the desk as a scan records it."""
    await JobQueue(store).enqueue(JobKind.SCAN, {}, project_id=PROJECT)
    job = await JobQueue(store).claim(JobKind.SCAN, "w")
    assert job is not None
    record = DatasetRecord(
        dataset_id="dataset-1",
        project_id=PROJECT,
        team_id="t",
        scan_id=job.job_id,
        model=model,
        train=DatasetPart(num_files=12, num_tokens=1000, mean_loss=mean_loss),
        created_at=1.0,
    )
    await DatasetRecords(store).record(job, record, {})


async def test_a_run_takes_the_dataset_in_force_and_not_the_newest_artifact(
    desk: Desk, store: Store, tmp_path: Path
) -> None:
    """A source was added, scanned and deleted again: what was made of it is newer, and no more."""
    write_dataset(ArtifactStore(tmp_path), "dataset-with-the-deleted-source")
    await _scanned(store, MODEL, 1.25)
    planned = await desk.planner.plan(spec(dataset_id=""))
    assert planned.plan.dataset_id == DATASET


async def test_a_run_trains_the_projects_model(desk: Desk, store: Store) -> None:
    def change(project: ProjectRecord) -> ProjectRecord:
        return project.model_copy(update={"finetune_model": "no/such"})

    await Projects(store).change(PROJECT, change)
    with pytest.raises(ModelNotFound, match="no/such"):
        await desk.planner.plan(spec(model=""))
    assert (await desk.planner.plan(spec())).plan.model == MODEL


async def test_parameters_are_narrowed_to_a_model(desk: Desk, tiny_model: Path) -> None:
    general = {p.name: p for p in await desk.planner.parameters("")}
    assert general["context_tokens"].maximum is None
    own = {p.name: p for p in await desk.planner.parameters(MODEL)}
    assert list(own) == list(general)
    assert (own["context_tokens"].maximum, own["context_tokens"].default) == (512, 512)
    assert list(own["target_modules"].choices) == own["target_modules"].default == MODULES
    shown = parameter_message(own["target_modules"])
    assert [value.string_value for value in shown.allowed_values] == MODULES
    assert own["fim_share"] == general["fim_share"]
    await desk.registry.put_model(tiny(tiny_model, name="test/plain", fim_family=""))
    plain = {p.name: p for p in await desk.planner.parameters("test/plain")}
    assert (plain["fim_share"].maximum, plain["fim_share"].default) == (0, 0.0)


async def test_parameters_of_what_cannot_be_trained(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="There is no model none"):
        await desk.planner.parameters("none")
    with pytest.raises(Conflict, match="cannot be fine-tuned"):
        await desk.planner.parameters("test/chat")
    await desk.registry.put_model(tiny(tmp_path, name="test/empty"))
    with pytest.raises(Conflict, match="no linear modules"):
        await desk.planner.parameters("test/empty")


async def test_a_run_waits_for_its_window_and_says_until_when(desk: Desk) -> None:
    now = datetime.now(ZoneInfo("Europe/Berlin"))
    opens = (now.hour * 60 + now.minute + 120) % 1440
    window = pb.RunWindow(
        start_minute=opens, end_minute=(opens + 60) % 1440, time_zone="Europe/Berlin"
    )
    job = await desk.requests.create(spec(window=window), "")
    assert await desk.queue.claim(JobKind.RUN, "w") is None
    run = await desk.requests.message(job)
    assert run.status == pb.RUN_STATUS_QUEUED
    assert run.phase == pb.RUN_PHASE_WAITING_FOR_WINDOW
    assert f"{opens // 60:02}:{opens % 60:02} (Europe/Berlin)" in run.detail
