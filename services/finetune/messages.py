"""Records as messages of the proto."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from services.cluster.jobs.records import JobRecord, JobStatus
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.cluster.runs import (
    EvaluationRecord,
    EvaluationStatus,
    EvaluationVerdict,
    Interval,
    RunPhase,
    RunState,
    Scores,
)
from services.finetune.checkpoints import Checkpoint
from services.finetune.evaluation.evaluator import StoredCase
from services.finetune.hold import remaining_seconds
from services.finetune.trainer.messages import StepDone

_STATUSES = {
    JobStatus.QUEUED: pb.RUN_STATUS_QUEUED,
    JobStatus.RUNNING: pb.RUN_STATUS_RUNNING,
    JobStatus.SUCCEEDED: pb.RUN_STATUS_SUCCEEDED,
    JobStatus.FAILED: pb.RUN_STATUS_FAILED,
    JobStatus.CANCELLED: pb.RUN_STATUS_CANCELLED,
}
_PHASES = {
    RunPhase.WAITING_FOR_DEVICES: pb.RUN_PHASE_WAITING_FOR_DEVICES,
    RunPhase.PREPARING: pb.RUN_PHASE_PREPARING,
    RunPhase.TRAINING: pb.RUN_PHASE_TRAINING,
    RunPhase.EVALUATING: pb.RUN_PHASE_EVALUATING,
    RunPhase.PUBLISHING: pb.RUN_PHASE_PUBLISHING,
}
_EVALUATION_STATUSES = {
    EvaluationStatus.RUNNING: pb.EVALUATION_STATUS_RUNNING,
    EvaluationStatus.SUCCEEDED: pb.EVALUATION_STATUS_SUCCEEDED,
    EvaluationStatus.FAILED: pb.EVALUATION_STATUS_FAILED,
    EvaluationStatus.CANCELLED: pb.EVALUATION_STATUS_CANCELLED,
}
_VERDICTS = {
    EvaluationVerdict.BETTER: pb.EVALUATION_VERDICT_BETTER,
    EvaluationVerdict.NO_DIFFERENCE: pb.EVALUATION_VERDICT_NO_DIFFERENCE,
    EvaluationVerdict.WORSE: pb.EVALUATION_VERDICT_WORSE,
    EvaluationVerdict.TOO_LITTLE_DATA: pb.EVALUATION_VERDICT_TOO_LITTLE_DATA,
}


def to_status(number: int) -> JobStatus | None:
    return next((status for status, value in _STATUSES.items() if value == number), None)


def payload_of(job: JobRecord) -> pb.RunJob:
    return json_format.ParseDict(dict(job.payload), pb.RunJob(), ignore_unknown_fields=True)


def to_json(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message)


def timestamp(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMicroseconds(int(seconds * 1e6))
    return stamp


def run_message(
    job: JobRecord, state: RunState, best_checkpoint_id: str, adapter_ids: Collection[str]
) -> pb.Run:
    payload = payload_of(job)
    running = job.status is JobStatus.RUNNING
    num_total = payload.plan.parameters.train_steps
    remaining = remaining_seconds(state, num_total) if running else None
    started_at = state.started_at or job.started_at
    return pb.Run(
        schema_version=1,
        run_id=job.job_id,
        project_id=payload.project_id,
        team_id=payload.team_id,
        spec=payload.spec,
        plan=payload.plan,
        model_revision=payload.model_revision,
        code_version=state.code_version,
        status=_STATUSES[job.status],
        phase=_phase(job, state),
        detail=_detail(job, state),
        error=job.error if job.status is JobStatus.FAILED else "",
        progress=pb.RunProgress(
            num_done_steps=state.num_done_steps,
            num_total_steps=num_total,
            num_epochs=state.num_epochs,
            train_loss=state.train_loss,
            test_loss=state.test_loss,
            best_test_loss=state.best_test_loss,
            tokens_per_second=state.tokens_per_second,
            peak_device_bytes=state.peak_device_bytes,
            trained_seconds=state.trained_seconds,
            remaining_seconds=remaining,
        ),
        attempt=job.attempt,
        device_ids=state.device_ids if running else (),
        best_checkpoint_id=best_checkpoint_id,
        evaluation_id=state.evaluation_id,
        adapter_ids=adapter_ids,
        resumed_from_checkpoint_id=state.resumed_from_checkpoint_id,
        created_at=timestamp(job.created_at),
        started_at=timestamp(started_at) if started_at else None,
        finished_at=timestamp(job.finished_at) if job.finished_at else None,
    )


def _waits_for_window(job: JobRecord) -> bool:
    return job.status is JobStatus.QUEUED and (job.opens_at or 0) > time.time()


def _phase(job: JobRecord, state: RunState) -> pb.RunPhase.ValueType:
    if _waits_for_window(job):
        return pb.RUN_PHASE_WAITING_FOR_WINDOW
    running = job.status is JobStatus.RUNNING
    return _PHASES[state.phase] if running and state.phase else pb.RUN_PHASE_UNSPECIFIED


def _detail(job: JobRecord, state: RunState) -> str:
    if _waits_for_window(job) and job.window:
        opens_at = datetime.fromtimestamp(job.opens_at or 0, ZoneInfo(job.window.time_zone))
        return f"Its time window opens {opens_at:%A %Y-%m-%d %H:%M} ({job.window.time_zone})."
    return state.detail if job.status is not JobStatus.QUEUED else job.error


def metrics_message(done: StepDone, attempt: int) -> pb.RunMetrics:
    return pb.RunMetrics(
        step=done.step,
        attempt=attempt,
        train_loss=done.train_loss,
        test_loss=done.test_loss,
        learning_rate=done.learning_rate,
        gradient_norm=done.gradient_norm,
        num_tokens=done.num_tokens,
        tokens_per_second=done.tokens_per_second,
        peak_device_bytes=done.peak_device_bytes,
        trained_seconds=done.trained_seconds,
    )


def checkpoint_message(
    checkpoint: Checkpoint,
    *,
    best: bool,
    adapter_ids: Collection[str] = (),
    evaluation: EvaluationRecord | None = None,
) -> pb.RunCheckpoint:
    return pb.RunCheckpoint(
        schema_version=1,
        checkpoint_id=checkpoint.checkpoint_id,
        run_id=checkpoint.run_id,
        project_id=checkpoint.project_id,
        team_id=checkpoint.team_id,
        step=checkpoint.step,
        attempt=checkpoint.attempt,
        train_loss=checkpoint.train_loss,
        test_loss=checkpoint.test_loss,
        best=best,
        resumable=checkpoint.resumable,
        size_bytes=checkpoint.size_bytes,
        evaluation=evaluation_message(evaluation) if evaluation else None,
        adapter_ids=adapter_ids,
        created_at=timestamp(checkpoint.created_at),
    )


def evaluation_message(record: EvaluationRecord) -> pb.Evaluation:
    return pb.Evaluation(
        schema_version=record.schema_version,
        evaluation_id=record.evaluation_id,
        project_id=record.project_id,
        team_id=record.team_id,
        checkpoint_id=record.checkpoint_id,
        model=record.model,
        dataset_id=record.dataset_id,
        status=_EVALUATION_STATUSES[record.status],
        fraction=record.fraction,
        error=record.error,
        verdict=(
            _VERDICTS[record.verdict] if record.verdict else pb.EVALUATION_VERDICT_UNSPECIFIED
        ),
        summary=record.summary,
        num_cases=record.num_cases,
        num_files=record.num_files,
        base_scores=_scores(record.base),
        candidate_scores=_scores(record.candidate),
        edit_similarity_difference=_interval(record.edit_similarity_difference),
        loss_difference=_interval(record.loss_difference),
        created_at=timestamp(record.created_at),
        finished_at=timestamp(record.finished_at) if record.finished_at else None,
    )


def case_message(number: int, case: StoredCase) -> pb.EvaluationCase:
    return pb.EvaluationCase(
        case_number=number,
        path=case.path,
        language=case.language,
        prefix=case.prefix,
        suffix=case.suffix,
        middle=case.middle,
        base_middle=case.base_middle,
        candidate_middle=case.candidate_middle,
        base_edit_similarity=case.base_edit_similarity,
        candidate_edit_similarity=case.candidate_edit_similarity,
    )


def _scores(scores: Scores | None) -> pb.EvaluationScores | None:
    fields = scores.model_dump(exclude={"schema_version"}) if scores else None
    return pb.EvaluationScores(**fields) if fields else None


def _interval(interval: Interval | None) -> pb.EvaluationInterval | None:
    fields = interval.model_dump(exclude={"schema_version"}) if interval else None
    return pb.EvaluationInterval(**fields) if fields else None
