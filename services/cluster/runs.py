"""What a run's job record has no room for: how the training goes, its evaluation, its adapters.

State and evaluation are written by whoever holds the job, and only while he holds it: the script
compares the fencing token. Curves and logs are files, checkpoints are artifacts.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from services.cluster.errors import LeaseLost, NotFound
from services.cluster.jobs.records import JobRecord
from services.cluster.metrics import FENCED_WRITES
from services.cluster.records import Record
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys


class RunPhase(StrEnum):
    WAITING_FOR_DEVICES = "waiting_for_devices"
    PREPARING = "preparing"
    TRAINING = "training"
    EVALUATING = "evaluating"
    PUBLISHING = "publishing"


class RunState(Record):
    """Of the newest attempt; losses in nats a token. `phase` None: nobody works on it."""

    run_id: str
    attempt: int = 0
    phase: RunPhase | None = None
    detail: str = ""
    started_at: float | None = None
    code_version: str = ""
    device_ids: tuple[str, ...] = ()
    num_done_steps: int = 0
    num_epochs: float = 0.0
    train_loss: float | None = None
    test_loss: float | None = None
    best_test_loss: float | None = None
    tokens_per_second: float = 0.0
    peak_device_bytes: int = 0
    trained_seconds: float = 0.0
    evaluation_id: str = ""
    resumed_from_checkpoint_id: str = ""

    @property
    def record_id(self) -> str:
        return self.run_id


class EvaluationStatus(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class EvaluationVerdict(StrEnum):
    BETTER = "better"
    NO_DIFFERENCE = "no_difference"
    WORSE = "worse"
    TOO_LITTLE_DATA = "too_little_data"


class Scores(Record):
    """Means over the cases, as EvaluationScores of the proto."""

    edit_similarity: float
    exact_match_share: float
    mean_loss: float
    latency_p50_seconds: float
    latency_p95_seconds: float


class Interval(Record):
    """Candidate minus base: mean, and the 95 % interval by bootstrap over files."""

    mean: float
    low: float
    high: float
    num_files: int


class EvaluationRecord(Record):
    """A checkpoint against its base."""

    evaluation_id: str
    run_id: str
    project_id: str
    team_id: str
    checkpoint_id: str
    model: str
    dataset_id: str
    status: EvaluationStatus
    fraction: float = 0.0
    error: str = ""
    verdict: EvaluationVerdict | None = None
    summary: str = ""
    num_cases: int = 0
    num_files: int = 0
    base: Scores | None = None
    candidate: Scores | None = None
    edit_similarity_difference: Interval | None = None
    loss_difference: Interval | None = None
    created_at: float
    finished_at: float | None = None

    @property
    def record_id(self) -> str:
        return self.evaluation_id


class PublishedAdapter(Record):
    """That an adapter was made from a checkpoint; `note` and `tags` are for people."""

    adapter_id: str
    run_id: str
    checkpoint_id: str
    note: str = ""
    tags: tuple[str, ...] = ()

    @property
    def record_id(self) -> str:
        return self.adapter_id


# KEYS: the job, the record. ARGV: the job's fencing token, the record's text.
_WRITE_AS_HOLDER = """
local job = redis.call('HMGET', KEYS[1], 'status', 'token')
if job[1] ~= 'running' or job[2] ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
return 1
"""


class Runs:
    """Raises StoreUnavailable while Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put_state(self, job: JobRecord, state: RunState) -> None:
        """Raises LeaseLost when the job is not this holder's any more."""
        await self._write(job, Keys.RUN_STATE.format(job.job_id), state)

    async def state(self, run_id: str) -> RunState:
        """An empty one before a worker took the run."""
        async with self._store.answering():
            text = await self._store.redis.get(Keys.RUN_STATE.format(run_id))
        return RunState.model_validate_json(text) if text else RunState(run_id=run_id)

    async def put_evaluation(self, job: JobRecord, record: EvaluationRecord) -> None:
        """Raises LeaseLost when the job is not this holder's any more."""
        await self._write(job, Keys.EVALUATION.format(record.evaluation_id), record)

    async def evaluation(self, evaluation_id: str) -> EvaluationRecord:
        """Raises NotFound."""
        async with self._store.answering():
            text = await self._store.redis.get(Keys.EVALUATION.format(evaluation_id))
        if not text:
            raise NotFound(f"There is no evaluation {evaluation_id}.")
        return EvaluationRecord.model_validate_json(text)

    async def add_adapter(self, adapter: PublishedAdapter) -> None:
        key, text = Keys.RUN_ADAPTERS.format(adapter.run_id), adapter.model_dump_json()
        async with self._store.answering():
            await self._store.redis.hset(key, adapter.adapter_id, text)

    async def adapters(self, run_id: str) -> dict[str, PublishedAdapter]:
        """Published from the run, by id."""
        key = Keys.RUN_ADAPTERS.format(run_id)
        async with self._store.answering():
            found: Any = await self._store.redis.hgetall(key)
        return {
            adapter_id: PublishedAdapter.model_validate_json(text)
            for adapter_id, text in found.items()
        }

    async def _write(self, job: JobRecord, key: str, record: Record) -> None:
        keys = [Keys.JOB.format(job.job_id), key]
        text = record.model_dump_json()
        if not await self._store.run(_WRITE_AS_HOLDER, keys, [job.token, text]):
            FENCED_WRITES.labels("run").inc()
            raise LeaseLost(f"{job.holder} lost run {job.job_id}; it must stop its work.")
