"""What is known of a job."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from services.cluster.records import Record


class JobKind(StrEnum):
    SCAN = "scan"
    RUN = "run"
    EVALUATE = "evaluate"
    DOWNLOAD = "download"


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})


class JobProgress(Record):
    """`fraction` 0 to 1; `remaining_seconds` None while unknown."""

    fraction: float = 0.0
    num_done: int = 0
    num_total: int = 0
    remaining_seconds: float | None = None
    message: str = ""


class JobRecord(Record):
    """`resume` is what the last heartbeat said: where the next attempt goes on."""

    job_id: str
    kind: JobKind
    status: JobStatus
    payload: Mapping[str, Any]
    priority: int = 0
    project_id: str = ""
    team_id: str = ""
    attempt: int = 0
    max_attempts: int = 5
    created_at: float
    started_at: float | None = None
    heartbeat_at: float | None = None
    finished_at: float | None = None
    holder: str = ""
    token: int = 0
    progress: JobProgress | None = None
    resume: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    error: str = ""
    cancel_requested: bool = False

    @property
    def record_id(self) -> str:
        return self.job_id


class JobEvent(Record):
    event_id: str
    event: str
    data: str
