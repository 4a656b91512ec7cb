"""Long work as a record in Redis: queued, claimed by one worker, kept alive by its heartbeat.

Own scripts rather than a library: a job here lasts hours, so a lost worker must be found by its
heartbeat, its late writes refused by a fencing token, and its last word handed to the next attempt
(docs/adr/0002).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from services.cluster.errors import BadRequest, Conflict, LeaseLost, NotFound
from services.cluster.jobs.records import (
    TERMINAL,
    JobEvent,
    JobKind,
    JobProgress,
    JobRecord,
    JobStatus,
)
from services.cluster.jobs.scripts import CANCEL, CLAIM, ENQUEUE, FINISH, HEARTBEAT, RETRY, SWEEP
from services.cluster.metrics import LEASES_LOST
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

LEASE_SECONDS = 30.0
_BLOCK_MILLISECONDS = 1000


class JobQueue:
    """Every method raises StoreUnavailable while Redis is away; nothing is half done then."""

    def __init__(self, store: Store, lease_seconds: float = LEASE_SECONDS) -> None:
        self._store = store
        self._lease_seconds = lease_seconds

    async def enqueue(
        self,
        kind: JobKind,
        payload: Mapping[str, Any],
        *,
        idempotency_key: str = "",
        priority: int = 0,
        delay_seconds: float = 0.0,
        max_attempts: int = 5,
        project_id: str = "",
        team_id: str = "",
    ) -> JobRecord:
        """The new job, or the one that was enqueued with this idempotency key before."""
        if not -1000 <= priority <= 1000:
            raise BadRequest("priority must be between -1000 and 1000.", param="priority")
        job_id = f"{kind}-{uuid.uuid4().hex[:12]}"
        fields: dict[str, str | int] = {
            "job_id": job_id,
            "kind": kind,
            "payload": json.dumps(payload),
            "priority": priority,
            "max_attempts": max_attempts,
            "project_id": project_id,
            "team_id": team_id,
            "schema_version": 1,
        }
        flat = [part for pair in fields.items() for part in pair]
        key = f"{kind}/{idempotency_key}" if idempotency_key else ""
        found = await self._store.run(ENQUEUE, [], [job_id, kind, key, delay_seconds, *flat])
        return await self.get(str(found))

    async def get(self, job_id: str) -> JobRecord:
        async with self._store.answering():
            fields: Any = await self._store.redis.hgetall(Keys.JOB.format(job_id))
        if not fields:
            raise NotFound(f"There is no job {job_id}.")
        return _parse(fields)

    async def known(self, kind: JobKind, idempotency_key: str) -> JobRecord | None:
        """The job that was enqueued with this idempotency key."""
        async with self._store.answering():
            field = f"{kind}/{idempotency_key}"
            job_id: Any = await self._store.redis.hget(Keys.JOB_IDEMPOTENCY, field)
        return await self.get(str(job_id)) if job_id else None

    async def history(self, kind: JobKind, start: int = 0, count: int = 50) -> list[JobRecord]:
        """Newest first."""
        async with self._store.answering():
            ids: Any = await self._store.redis.zrevrange(
                Keys.JOB_HISTORY.format(kind), start, start + count - 1
            )
        return [await self.get(job_id) for job_id in ids]

    async def claim(self, kind: JobKind, holder: str, max_running: int = 0) -> JobRecord | None:
        """The most urgent job, now this holder's; None when there is none or enough run."""
        job_id = await self._store.run(CLAIM, [], [kind, holder, self._lease_seconds, max_running])
        return await self.get(str(job_id)) if job_id else None

    async def wait(self, kind: JobKind, after: str, timeout_seconds: float) -> str:
        """Returns when a job of the kind was queued after the mark, with the new mark."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            entries = await self._store.read_stream(
                Keys.JOB_WAKE.format(kind), after, _BLOCK_MILLISECONDS
            )
            if entries:
                return entries[-1][0]
        return after

    async def heartbeat(
        self,
        job: JobRecord,
        progress: JobProgress | None = None,
        resume: Mapping[str, Any] | None = None,
    ) -> bool:
        """False when the job was cancelled and should stop. Raises LeaseLost."""
        answer = await self._store.run(
            HEARTBEAT,
            [],
            [
                job.job_id,
                job.kind,
                job.token,
                self._lease_seconds,
                progress.model_dump_json() if progress else "",
                json.dumps(resume) if resume is not None else "",
            ],
        )
        self._check(job, answer)
        return int(answer) != 2

    async def succeed(self, job: JobRecord, result: Mapping[str, Any]) -> None:
        """Raises LeaseLost, and then nothing is written; so do the next three."""
        await self._finish(job, JobStatus.SUCCEEDED, json.dumps(result))

    async def fail(self, job: JobRecord, error: str) -> None:
        await self._finish(job, JobStatus.FAILED, error)

    async def confirm_cancelled(self, job: JobRecord) -> None:
        await self._finish(job, JobStatus.CANCELLED, "{}")

    async def retry(self, job: JobRecord, error: str, delay_seconds: float) -> None:
        """Gives the job back; it fails for good when it has used all its attempts."""
        if job.attempt >= job.max_attempts:
            await self.fail(job, error)
            return
        answer = await self._store.run(
            RETRY, [], [job.job_id, job.kind, job.token, delay_seconds, error]
        )
        self._check(job, answer)

    async def cancel(self, job_id: str) -> JobRecord:
        """Raises Conflict when it has ended already."""
        job = await self.get(job_id)
        if not await self._store.run(CANCEL, [], [job_id, job.kind]):
            ended = await self.get(job_id)
            raise Conflict(f"Job {job_id} has {ended.status} already.")
        return await self.get(job_id)

    async def sweep(self, kind: JobKind) -> int:
        """Puts back the jobs of lost workers. Call it only after Redis answered for one lease."""
        return int(await self._store.run(SWEEP, [], [kind]))

    async def events(self, job_id: str, after: str = "0-0") -> AsyncIterator[JobEvent]:
        """Every event after an id, then new ones, until the job has ended."""
        await self.get(job_id)
        while True:
            entries = await self._store.read_stream(
                Keys.JOB_EVENTS.format(job_id), after, _BLOCK_MILLISECONDS
            )
            for after, fields in entries:
                yield JobEvent(event_id=after, event=fields["event"], data=fields["data"])
                if fields["event"] in TERMINAL:
                    return
            if not entries and (await self.get(job_id)).status in TERMINAL:
                return

    async def _finish(self, job: JobRecord, status: JobStatus, value: str) -> None:
        answer = await self._store.run(FINISH, [], [job.job_id, job.kind, job.token, status, value])
        self._check(job, answer)

    def _check(self, job: JobRecord, answer: object) -> None:
        if answer == 0:
            LEASES_LOST.inc()
            raise LeaseLost(f"{job.holder} lost job {job.job_id}; it must stop its work.")


_JSON_FIELDS = ("payload", "progress", "resume", "result")


def _parse(fields: Mapping[str, str]) -> JobRecord:
    values: dict[str, Any] = {name: value for name, value in fields.items() if value != ""}
    for name in _JSON_FIELDS:
        if name in values:
            values[name] = json.loads(values[name])
    return JobRecord.model_validate(values)
