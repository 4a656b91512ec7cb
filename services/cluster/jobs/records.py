"""What is known of a job."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Any

from services.cluster.jobs.windows import TimeWindow
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


class JobSignal(IntEnum):
    """What a heartbeat answers to a worker that still holds its job."""

    GO_ON = 1
    CANCEL = 2
    YIELD = 3  # give it back, to go on later: its time window ended, or serving wants the devices


class JobProgress(Record):
    """`fraction` 0 to 1; `num_done` of `num_total` steps; `remaining_seconds` None if unknown."""

    fraction: float = 0.0
    num_done: int = 0
    num_total: int = 0
    remaining_seconds: float | None = None
    message: str = ""


class JobRecord(Record):
    """`resume` is what the last heartbeat said: where the next attempt goes on.

    `attempt` counts claims. `num_failures` counts the attempts that were lost or failed since one
    of them got further than all before it; the job fails when it reaches `max_attempts`.
    `opens_at` and `closes_at` are the window's times in force, in unix seconds of Redis. A `lane`
    is a queue of its own for those who alone can do such a job, as for what belongs to one host.
    """

    job_id: str
    kind: JobKind
    lane: str = ""
    status: JobStatus
    payload: Mapping[str, Any]
    priority: int = 0
    project_id: str = ""
    team_id: str = ""
    depends_on: tuple[str, ...] = ()
    window: TimeWindow | None = None
    opens_at: float | None = None
    closes_at: float | None = None
    attempt: int = 0
    num_failures: int = 0
    max_attempts: int = 5
    created_at: float
    due_at: float | None = None
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
    yield_requested: bool = False

    @property
    def record_id(self) -> str:
        return self.job_id

    @property
    def queue(self) -> str:
        return queue_name(self.kind, self.lane)


def queue_name(kind: JobKind, lane: str) -> str:
    return f"{kind}@{lane}" if lane else kind


class JobEvent(Record):
    event_id: str
    event: str
    data: str


class QueueCensus(Record):
    """How many jobs of a kind there are; `oldest_seconds` since the oldest queued one was due."""

    num_queued: int
    num_waiting: int
    num_running: int
    oldest_seconds: float
