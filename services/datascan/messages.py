"""Records as protobuf messages."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp

from services.cluster.jobs.records import JobRecord, JobStatus
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.cluster.project_records import (
    DatasetPart,
    DatasetRecord,
    ProjectView,
    SourceCounts,
    SourceKind,
    SourceRecord,
    SourceSplit,
)
from services.datascan.scan_payload import scan_job
from services.datascan.tallies import Tallies
from services.datascan.verdict_rows import VerdictRow

_KINDS = {SourceKind.ARCHIVE: pb.SOURCE_KIND_ARCHIVE, SourceKind.FILE: pb.SOURCE_KIND_FILE}
_SPLITS = {
    SourceSplit.TRAIN: pb.SOURCE_SPLIT_TRAIN,
    SourceSplit.TEST: pb.SOURCE_SPLIT_TEST,
    SourceSplit.AUTO: pb.SOURCE_SPLIT_AUTO,
}
_STATUSES = {
    JobStatus.QUEUED: pb.SCAN_STATUS_QUEUED,
    JobStatus.RUNNING: pb.SCAN_STATUS_RUNNING,
    JobStatus.SUCCEEDED: pb.SCAN_STATUS_SUCCEEDED,
    JobStatus.FAILED: pb.SCAN_STATUS_FAILED,
    JobStatus.CANCELLED: pb.SCAN_STATUS_CANCELLED,
}


def timestamp(seconds: float | None) -> Timestamp | None:
    if seconds is None:
        return None
    moment = Timestamp()
    moment.FromMicroseconds(int(seconds * 1e6))
    return moment


def project_message(view: ProjectView) -> pb.Project:
    project = view.project
    return pb.Project(
        schema_version=project.schema_version,
        project_id=project.project_id,
        team_id=project.team_id,
        spec=pb.ProjectSpec(
            name=project.name,
            reader_team_ids=project.reader_team_ids,
            finetune_model=project.finetune_model,
            manual_scans=project.manual_scans,
        ),
        latest_scan_id=view.latest_scan_id,
        latest_dataset_id=view.latest_dataset_id,
        num_sources=view.num_sources,
        created_at=timestamp(project.created_at),
        updated_at=timestamp(project.updated_at),
    )


def source_message(source: SourceRecord, counts: SourceCounts | None) -> pb.Source:
    return pb.Source(
        schema_version=source.schema_version,
        source_id=source.source_id,
        project_id=source.project_id,
        team_id=source.team_id,
        kind=_KINDS[source.kind],
        spec=pb.SourceSpec(name=source.name, split=_SPLITS[source.split]),
        phase=pb.SOURCE_PHASE_READY,
        fetched_bytes=source.size_bytes,
        total_bytes=source.size_bytes,
        sha256=source.sha256,
        scan_id=counts.scan_id if counts else "",
        num_files=counts.num_files if counts else 0,
        num_accepted_files=counts.num_accepted_files if counts else 0,
        created_at=timestamp(source.created_at),
        fetched_at=timestamp(source.fetched_at),
    )


def scan_message(job: JobRecord, tallies: Tallies) -> pb.Scan:
    wanted = scan_job(job.payload)
    result = job.result or {}
    running = job.status is JobStatus.RUNNING
    told = job.resume or {}
    return pb.Scan(
        schema_version=job.schema_version,
        scan_id=job.job_id,
        project_id=wanted.project_id,
        team_id=wanted.team_id,
        trigger=wanted.trigger,
        status=_STATUSES[job.status],
        phase=told.get("phase", 0) if running else pb.SCAN_PHASE_UNSPECIFIED,
        progress=_progress(job, told),
        error=job.error if job.status is JobStatus.FAILED else "",
        attempt=job.attempt,
        filters_revision=wanted.filters.revision,
        model=wanted.model,
        loss_skipped_reason=result.get("loss_skipped_reason", ""),
        counts=counts_message(tallies),
        dataset_id=result.get("dataset_id", ""),
        created_at=timestamp(job.created_at),
        started_at=timestamp(job.started_at),
        finished_at=timestamp(job.finished_at),
    )


def _progress(job: JobRecord, told: Any) -> pb.ScanProgress | None:
    if job.progress is None:
        return None
    progress = job.progress
    return pb.ScanProgress(
        fraction=progress.fraction,
        num_done=progress.num_done,
        num_total=progress.num_total,
        files_per_second=told.get("files_per_second", 0.0),
        remaining_seconds=progress.remaining_seconds,
        message=job.error if job.status is JobStatus.QUEUED else progress.message,
        num_judged_files=told.get("num_judged_files", 0),
        num_reused_files=told.get("num_reused_files", 0),
        num_scored_files=told.get("num_scored_files", 0),
    )


def counts_message(tallies: Tallies) -> pb.ScanCounts:
    return pb.ScanCounts(
        num_files=tallies.num_files,
        num_accepted_files=tallies.num_accepted_files,
        accepted_bytes=tallies.accepted_bytes,
        reasons=[
            pb.ReasonCount(reason=reason, num_files=num_files)  # type: ignore[arg-type]
            for reason, num_files in tallies.reasons
        ],
        languages=[
            pb.LanguageCount(
                language=tally.language,
                num_files=tally.num_files,
                num_accepted_files=tally.num_accepted_files,
                accepted_bytes=tally.accepted_bytes,
            )
            for tally in tallies.languages
        ],
        mean_loss=tallies.mean_loss,
    )


def verdict_message(row: VerdictRow, scan: pb.ScanJob, scan_id: str) -> pb.Verdict:
    return pb.Verdict(
        schema_version=1,
        scan_id=scan_id,
        project_id=scan.project_id,
        team_id=scan.team_id,
        file_number=row.file_number,
        source_id=row.source_id,
        path=row.path,
        accepted=bool(row.accepted),
        step=row.step,  # type: ignore[arg-type]
        reason=row.reason,  # type: ignore[arg-type]
        reasons=[int(reason) for reason in row.reasons.split(",") if reason],  # type: ignore[misc]
        detail=row.detail,
        forced=bool(row.forced),
        split=row.split,  # type: ignore[arg-type]
        language=row.language,
        size_bytes=row.size_bytes,
        num_lines=row.num_lines,
        content_sha256=row.content_sha256,
        digit_share=row.digit_share,
        loss=row.loss,
        num_tokens=row.num_tokens,
        duplicate_file_number=row.duplicate_file_number,
    )


def dataset_message(dataset: DatasetRecord) -> pb.Dataset:
    change = dataset.change
    return pb.Dataset(
        schema_version=dataset.schema_version,
        dataset_id=dataset.dataset_id,
        project_id=dataset.project_id,
        team_id=dataset.team_id,
        scan_id=dataset.scan_id,
        model=dataset.model,
        loss_skipped_reason=dataset.loss_skipped_reason,
        filters=ParseDict(dict(dataset.filters), pb.ScanFilters(), ignore_unknown_fields=True),
        sources=[
            pb.DatasetSource(**source.model_dump(exclude={"schema_version"}))
            for source in dataset.sources
        ],
        train=_part(dataset.train),
        test=_part(dataset.test),
        num_duplicate_files=dataset.num_duplicate_files,
        languages=[
            pb.LanguageCount(
                language=language.language,
                num_files=language.num_files,
                num_accepted_files=language.num_files,
                accepted_bytes=language.size_bytes,
            )
            for language in dataset.languages
        ],
        change=pb.DatasetChange(**change.model_dump(exclude={"schema_version"}))
        if change
        else None,
        created_at=timestamp(dataset.created_at),
    )


def _part(part: DatasetPart) -> pb.DatasetPart:
    return pb.DatasetPart(**part.model_dump(exclude={"schema_version"}, exclude_none=True))
