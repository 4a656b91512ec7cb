"""What callers may do with runs: plan, create, look, cancel, publish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from services.cluster.errors import BadRequest, Conflict, DevicesUnavailable, NotFound
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobRecord, JobStatus
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.cluster.records import AdapterRecord
from services.cluster.runs import EvaluationRecord, EvaluationStatus, Runs
from services.finetune.bases import revision_of
from services.finetune.checkpoints import Checkpoint, Checkpoints, best_of
from services.finetune.evaluation.measures import is_better
from services.finetune.lineage import candidate_of
from services.finetune.messages import (
    checkpoint_message,
    payload_of,
    run_message,
    to_json,
)
from services.finetune.plan import Planner
from services.finetune.publishing import Publishing
from services.finetune.spec_rules import check_name, name_from_time, window_of

_MAX_ATTEMPTS = 10
_MAX_KEY = 64
_HISTORY_CHUNK = 100
_MAX_NOTE = 4096
_MAX_TAGS = 32
_MAX_TAG = 64


class RunRequests:
    """Every method raises StoreUnavailable while Redis is away."""

    def __init__(
        self,
        queue: JobQueue,
        runs: Runs,
        planner: Planner,
        checkpoints: Checkpoints,
        publishing: Publishing,
    ) -> None:
        self._queue = queue
        self._runs = runs
        self._planner = planner
        self._checkpoints = checkpoints
        self._publishing = publishing
        self._creating = asyncio.Lock()  # a name is looked for and taken in one step

    async def create(self, asked: pb.RunSpec, idempotency_key: str) -> JobRecord:
        """Raises BadRequest that names the field, NotFound, Conflict, DevicesUnavailable."""
        if len(idempotency_key) > _MAX_KEY:
            raise BadRequest(
                f"idempotency_key may have {_MAX_KEY} characters, not {len(idempotency_key)}.",
                param="idempotency_key",
            )
        async with self._creating:
            key = f"{asked.project_id}/{idempotency_key}" if idempotency_key else ""
            known = await self._queue.known(JobKind.RUN, key) if key else None
            return known or await self._enqueue(await self._payload(asked), key)

    async def _payload(self, asked: pb.RunSpec) -> pb.RunJob:
        planned = await self._planner.plan(asked)
        if not planned.plan.fits:
            raise DevicesUnavailable(planned.plan.refusal)
        spec, project_id = planned.spec, planned.dataset.project_id
        names = await self._names(project_id)
        if spec.name in names:
            raise Conflict(f"The project has a run named {spec.name} already.", param="name")
        spec.name = spec.name or _unused(name_from_time(time.time()), names)
        return pb.RunJob(
            schema_version=1,
            project_id=project_id,
            team_id=planned.dataset.team_id,
            spec=spec,
            plan=planned.plan,
            model_revision=await revision_of(planned.model),
        )

    async def job(self, run_id: str) -> JobRecord:
        """Raises NotFound."""
        if not run_id.startswith(f"{JobKind.RUN}-"):
            raise NotFound(f"There is no run {run_id[:100]}.")
        try:
            return await self._queue.get(run_id)
        except NotFound:
            raise NotFound(f"There is no run {run_id[:100]}.") from None

    async def message(self, job: JobRecord) -> pb.Run:
        state = await self._runs.state(job.job_id)
        checkpoints = await asyncio.to_thread(self._checkpoints.of_run, job.job_id)
        best = best_of(checkpoints)
        adapters = await self._runs.adapters(job.job_id)
        return run_message(job, state, best.checkpoint_id if best else "", list(adapters))

    async def page(
        self, project_id: str, statuses: Collection[JobStatus], start: int, size: int
    ) -> tuple[list[JobRecord], bool]:
        """Newest first, and whether there are more."""
        found: list[JobRecord] = []
        seen = 0
        while len(found) <= start + size:
            jobs = await self._queue.history(JobKind.RUN, seen, _HISTORY_CHUNK)
            seen += len(jobs)
            found += [
                job
                for job in jobs
                if project_id in ("", job.project_id) and (not statuses or job.status in statuses)
            ]
            if len(jobs) < _HISTORY_CHUNK:
                break
        return found[start : start + size], len(found) > start + size

    async def cancel(self, run_id: str) -> JobRecord:
        """Raises NotFound, or Conflict when it has ended."""
        await self.job(run_id)
        return await self._queue.cancel(run_id)

    async def checkpoints(self, run_id: str) -> list[pb.RunCheckpoint]:
        """By step. Raises NotFound."""
        await self.job(run_id)
        state = await self._runs.state(run_id)
        evaluation = await self._succeeded(state.evaluation_id)
        adapters = await self._runs.adapters(run_id)
        found = await asyncio.to_thread(self._checkpoints.of_run, run_id)
        best = best_of(found)
        return [
            checkpoint_message(
                checkpoint,
                best=checkpoint == best,
                adapter_ids=[
                    a.adapter_id
                    for a in adapters.values()
                    if a.checkpoint_id == checkpoint.checkpoint_id
                ],
                evaluation=_of_checkpoint(evaluation, checkpoint),
            )
            for checkpoint in found
        ]

    async def publish(
        self, checkpoint_id: str, name: str, note: str, tags: tuple[str, ...]
    ) -> tuple[AdapterRecord, Checkpoint, pb.RunJob, EvaluationRecord | None]:
        """Raises NotFound, BadRequest, or Conflict when the name is taken."""
        check_notes(note, tags)
        checkpoint = await asyncio.to_thread(self._checkpoints.get, checkpoint_id)
        payload = payload_of(await self.job(checkpoint.run_id))
        name = name or f"{payload.spec.name[:56]}-{checkpoint.step}"
        check_name(name)
        state = await self._runs.state(checkpoint.run_id)
        evaluation = _of_checkpoint(await self._succeeded(state.evaluation_id), checkpoint)
        better = is_better(evaluation.verdict, evaluation.loss_difference) if evaluation else None
        candidate = candidate_of(checkpoint, payload, name)
        record = await self._publishing.publish(candidate, better, note=note, tags=tags)
        await self._publishing.serve(record)
        return record, checkpoint, payload, evaluation

    async def _succeeded(self, evaluation_id: str) -> EvaluationRecord | None:
        if not evaluation_id:
            return None
        record = await self._runs.evaluation(evaluation_id)
        return record if record.status is EvaluationStatus.SUCCEEDED else None

    async def _enqueue(self, payload: pb.RunJob, key: str) -> JobRecord:
        return await self._queue.enqueue(
            JobKind.RUN,
            to_json(payload),
            idempotency_key=key,
            max_attempts=_MAX_ATTEMPTS,
            window=window_of(payload.spec),
            project_id=payload.project_id,
            team_id=payload.team_id,
        )

    async def _names(self, project_id: str) -> set[str]:
        """Names of the project's runs."""
        jobs, _ = await self.page(project_id, (), 0, 10**9)
        return {payload_of(job).spec.name for job in jobs if job.project_id == project_id}


def check_notes(note: str, tags: tuple[str, ...]) -> None:
    if len(note) > _MAX_NOTE:
        raise BadRequest(f"note may have {_MAX_NOTE} characters, not {len(note)}.", param="note")
    if len(tags) > _MAX_TAGS or not all(1 <= len(tag) <= _MAX_TAG for tag in tags):
        raise BadRequest(
            f"tags may be at most {_MAX_TAGS}, each of 1 to {_MAX_TAG} characters.", param="tags"
        )


def _unused(name: str, names: Collection[str]) -> str:
    number, found = 1, name
    while found in names:
        number += 1
        found = f"{name}-{number}"
    return found


def _of_checkpoint(
    evaluation: EvaluationRecord | None, checkpoint: Checkpoint
) -> EvaluationRecord | None:
    if evaluation and evaluation.checkpoint_id == checkpoint.checkpoint_id:
        return evaluation
    return None
