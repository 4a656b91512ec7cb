"""Random records, made and read by the public classes only."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hypothesis import strategies as st

from services.cluster.datasets import Datasets
from services.cluster.errors import NotFound
from services.cluster.identity import Identity, Scope
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobProgress, JobRecord
from services.cluster.project_records import (
    DatasetRecord,
    ProjectRecord,
    SourceCounts,
    SourceKind,
    SourceRecord,
)
from services.cluster.projects import Projects
from services.cluster.records import AdapterRecord, DeploymentRecord, ModelRecord
from services.cluster.registry import Registry
from services.cluster.runs import (
    EvaluationRecord,
    EvaluationStatus,
    PublishedAdapter,
    Runs,
    RunState,
)
from services.cluster.sources import Sources
from services.cluster.store.connection import Store
from services.cluster.store.counters import Counters, counts_of_day
from services.cluster.telemetry_records import WrittenRow, WrittenRows
from services.cluster.toolbox import ToolboxChange, ToolboxRecord

# Whatever a person may type, and what breaks formats: quotes, newlines, "{}", "%", other planes.
TEXT = st.text(min_size=1, max_size=20) | st.sampled_from(["{}", "%1", '"', "a\nb", "💾", "\x00"])
TIME = st.floats(1.0, 2e9)


@dataclass(frozen=True)
class Wanted:
    """What is to be made."""

    projects: list[tuple[str, list[str]]]  # names, each with the names of its sources
    scans: int
    ends: list[str]  # how each run goes: succeed, fail, cancel, wait, delay, run
    texts: list[str]
    time: float


WANTED = st.builds(
    Wanted,
    projects=st.lists(
        st.tuples(TEXT, st.lists(TEXT, max_size=4, unique=True)),
        max_size=3,
        unique_by=lambda pair: pair[0],
    ),
    scans=st.integers(0, 2),
    ends=st.lists(
        st.sampled_from(["succeed", "fail", "cancel", "wait", "delay", "run"]), max_size=6
    ),
    texts=st.lists(TEXT, min_size=1, max_size=4),
    time=TIME,
)


@dataclass
class Made:
    """Ids of what was made."""

    project_ids: list[str] = field(default_factory=list)
    source_ids: list[str] = field(default_factory=list)
    job_ids: list[str] = field(default_factory=list)
    running_ids: list[str] = field(default_factory=list)


async def make(store: Store, wanted: Wanted) -> Made:
    made = Made()
    for number, (name, source_names) in enumerate(wanted.projects):
        await _project(store, made, wanted, f"p{number}", name, source_names)
    for number, how in enumerate(wanted.ends):
        await _run(store, made, wanted, number, how)
    identity, registry = Identity(store), Registry(store)
    admin = await identity.ensure_admin()
    for number, text in enumerate(wanted.texts):
        name = text.strip()[:100] or "x"
        await identity.create_token(admin.user_id, name, frozenset({Scope.COMPLETIONS}))
        await registry.put_deployment(
            DeploymentRecord(
                deployment_id=f"d{number}",
                model=text,
                created_at=wanted.time,
                updated_at=wanted.time,
            )
        )
        await registry.put_adapter(
            AdapterRecord(
                adapter_id=f"a{number}", model=text, name=text, rank=8, created_at=wanted.time
            )
        )
        await registry.put_model(ModelRecord(name=text, origin="local"))
        await registry.change_toolbox(partial(_switched_off, name=text))
    async with Counters(store) as counters:
        for number, text in enumerate(wanted.texts):
            counters.add("usage", text, number + 1)
    rows = [
        WrittenRow(
            report_id="r",
            number=number,
            model=text,
            file_extension=".py",
            human_characters=1,
            robot_characters=2,
            num_completions=1,
            started_at=1,
            ended_at=2,
        )
        for number, text in enumerate(wanted.texts)
    ]
    await WrittenRows(store).add(admin.user_id, rows)
    return made


def _switched_off(toolbox: ToolboxRecord, name: str) -> ToolboxRecord:
    edition = toolbox.edition + 1
    changes = {**toolbox.changes, name: ToolboxChange(enabled=False, edition=edition)}
    return toolbox.model_copy(update={"edition": edition, "changes": changes})


async def _project(
    store: Store, made: Made, wanted: Wanted, project_id: str, name: str, source_names: list[str]
) -> None:
    projects, sources, queue = Projects(store), Sources(store), JobQueue(store)
    times = {"created_at": wanted.time, "updated_at": wanted.time}
    await projects.create(ProjectRecord(project_id=project_id, team_id="t", name=name, **times))
    made.project_ids.append(project_id)
    for number, source_name in enumerate(source_names):
        source_id = f"{project_id}-s{number}"
        source = SourceRecord(
            source_id=source_id,
            project_id=project_id,
            team_id="t",
            kind=SourceKind.FILE,
            name=source_name,
            artifact_id="a",
            file_name=source_name,
            size_bytes=number,
            sha256="0" * 64,
            created_at=wanted.time,
            fetched_at=wanted.time,
        )
        await sources.add(source, f"key-{source_id}")
        made.source_ids.append(source_id)
    latest = ""
    for number in range(wanted.scans):
        job = await queue.enqueue(JobKind.SCAN, {"project_id": project_id}, project_id=project_id)
        made.job_ids.append(job.job_id)
        await projects.record_scan(project_id, latest, job.job_id)
        claimed = await _claimed(queue, JobKind.SCAN)
        dataset = DatasetRecord(
            dataset_id=f"{project_id}-{number}",
            project_id=project_id,
            team_id="t",
            scan_id=claimed.job_id,
            filters={"text": wanted.texts},
            created_at=wanted.time,
        )
        counts = SourceCounts(scan_id=claimed.job_id, num_files=1, num_accepted_files=1)
        await Datasets(store).record(claimed, dataset, {f"{project_id}-s0": counts})
        await queue.succeed(claimed, {"dataset_id": dataset.dataset_id})
        latest = job.job_id


async def _claimed(queue: JobQueue, kind: JobKind) -> JobRecord:
    """The job that was just queued: it goes first, for those that wait have a lower priority."""
    job = await queue.claim(kind, "holder")
    assert job
    return job


async def _run(store: Store, made: Made, wanted: Wanted, number: int, how: str) -> None:
    queue, runs = JobQueue(store), Runs(store)
    job = await queue.enqueue(
        JobKind.RUN,
        {"texts": wanted.texts},
        idempotency_key=f"run-{number}",
        delay_seconds=3600 if how == "delay" else 0,
        priority=10 if how == "wait" else 0,
    )
    made.job_ids.append(job.job_id)
    if how == "cancel":
        await queue.cancel(job.job_id)
    if how in ("cancel", "wait", "delay"):
        return
    claimed = await _claimed(queue, JobKind.RUN)
    assert claimed.job_id == job.job_id
    await queue.heartbeat(claimed, JobProgress(message=wanted.texts[0]), {"step": number})
    await runs.put_state(claimed, RunState(run_id=job.job_id, evaluation_id=f"e{number}"))
    await runs.put_evaluation(
        claimed,
        EvaluationRecord(
            evaluation_id=f"e{number}",
            run_id=job.job_id,
            project_id="p0",
            team_id="t",
            checkpoint_id="c",
            model="m",
            dataset_id="d",
            status=EvaluationStatus.SUCCEEDED,
            summary=wanted.texts[-1],
            created_at=wanted.time,
        ),
    )
    await runs.add_adapter(
        PublishedAdapter(adapter_id="a", run_id=job.job_id, checkpoint_id="c", note=wanted.texts[0])
    )
    if how == "succeed":
        await queue.succeed(claimed, {"texts": wanted.texts})
    elif how == "fail":
        await queue.fail(claimed, wanted.texts[0])
    else:
        made.running_ids.append(job.job_id)


async def read(store: Store, made: Made) -> dict[str, Any]:
    """Everything that the public classes say of it."""
    projects, sources, datasets = Projects(store), Sources(store), Datasets(store)
    queue, runs, view = JobQueue(store), Runs(store), await Registry(store).view()
    seconds, _ = await store.redis.time()
    today = datetime.datetime.fromtimestamp(seconds, datetime.UTC).date()
    found: dict[str, Any] = {
        "projects": await projects.all(),
        "due": [project_id for project_id, _ in await projects.due()],
        "tokens": sorted(await Identity(store).list_tokens(), key=lambda token: token.token_id),
        "admin": await Identity(store).user("admin"),
        "written": await WrittenRows(store).of_user("admin"),
        "registry": (view.deployments, view.adapters, view.models, view.toolbox),
        "usage": await counts_of_day(store, "usage", today),
        "known": [await queue.known(JobKind.RUN, f"run-{n}") for n in range(len(made.job_ids))],
        "history": [[job.job_id for job in await queue.history(kind)] for kind in JobKind],
        "jobs": {job_id: await queue.get(job_id) for job_id in made.job_ids},
        "states": {job_id: await runs.state(job_id) for job_id in made.job_ids},
        "adapters": {job_id: await runs.adapters(job_id) for job_id in made.job_ids},
    }
    for job_id, state in found["states"].items():
        if state.evaluation_id:
            found[f"evaluation of {job_id}"] = await runs.evaluation(state.evaluation_id)
    for project_id in made.project_ids:
        try:
            found[project_id] = (
                await sources.all(project_id),
                await projects.scan_ids(project_id),
                [await datasets.get(dataset_id) for dataset_id in await datasets.ids(project_id)],
            )
        except NotFound:
            found[project_id] = None
    for source_id in made.source_ids:
        found[source_id] = await sources.of_key(source_id.split("-")[0], f"key-{source_id}")
    return found
