"""Long work as a record in Redis: queued, claimed by one worker, kept alive by its heartbeat.

Own scripts rather than a library: a job here lasts hours, so a lost worker must be found by its
heartbeat, its late writes refused by a fencing token, and its last word handed to the next attempt
(docs/adr/0002).
"""

from __future__ import annotations

import contextlib
import json
import math
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from services.cluster.errors import BadRequest, Conflict, LeaseLost, NotFound
from services.cluster.jobs import scripts
from services.cluster.jobs.metrics import CLAIMED, ENDED, LOST
from services.cluster.jobs.records import (
    TERMINAL,
    JobEvent,
    JobKind,
    JobProgress,
    JobRecord,
    JobSignal,
    JobStatus,
    QueueCensus,
    queue_name,
)
from services.cluster.jobs.windows import TimeWindow, opening
from services.cluster.metrics import FENCED_WRITES
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

LEASE_SECONDS = 30.0
_BLOCK_MILLISECONDS = 1000
_MAX_DEPENDENCIES = 100
_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 300.0


class JobQueue:
    """Every method raises StoreUnavailable while Redis is away; nothing is half done then.

    A kind stands for its jobs of this lane; a job_id, for a job of any lane.
    """

    def __init__(
        self, store: Store, lease_seconds: float = LEASE_SECONDS, *, lane: str = ""
    ) -> None:
        self._store = store
        self._lane = lane
        self._tickets: dict[tuple[JobKind, str], str] = {}
        self.lease_seconds = lease_seconds

    async def enqueue(
        self,
        kind: JobKind,
        payload: Mapping[str, Any],
        *,
        idempotency_key: str = "",
        priority: int = 0,
        delay_seconds: float = 0.0,
        depends_on: Sequence[str] = (),
        window: TimeWindow | None = None,
        max_attempts: int = 5,
        project_id: str = "",
        team_id: str = "",
    ) -> JobRecord:
        """The new job, or the one that was enqueued with this idempotency key before.

        It begins when every job of `depends_on` has succeeded, and fails when one of them has not;
        it runs only inside `window`. A lower `priority` goes first. Raises BadRequest.
        """
        _check_wish(priority, delay_seconds, max_attempts, len(depends_on))
        job_id = f"{kind}-{secrets.token_hex(6)}"
        opens_at = ""
        fields = {
            "job_id": job_id,
            "kind": kind,
            "lane": self._lane,
            "payload": json.dumps(payload),
            "priority": str(priority),
            "max_attempts": str(max_attempts),
            "project_id": project_id,
            "team_id": team_id,
            "depends_on": json.dumps(list(depends_on)),
            "schema_version": "1",
        }
        if window:
            opens_at, closes_at = map(repr, opening(window, await self._store.time()))
            fields |= {
                "window": window.model_dump_json(),
                "opens_at": opens_at,
                "closes_at": closes_at,
            }
        record = json.dumps([part for pair in fields.items() for part in pair])
        queue = self._queue(kind)
        key = f"{queue}/{idempotency_key}" if idempotency_key else ""
        awaited = json.dumps(sorted(set(depends_on)))
        answer = await self._store.run(
            scripts.ENQUEUE,
            [],
            [job_id, queue, key, delay_seconds, awaited, priority, opens_at, record],
        )
        if answer.startswith(scripts.MISSING):
            missing = answer.removeprefix(scripts.MISSING)
            raise BadRequest(f"There is no job {missing} to wait for.", param="depends_on")
        return _parse(_pairs(answer))

    async def get(self, job_id: str) -> JobRecord:
        async with self._store.answering():
            fields: Any = await self._store.redis.hgetall(Keys.JOB.format(job_id))
        if not fields:
            raise NotFound(f"There is no job {job_id}.")
        return _parse(fields)

    async def known(self, kind: JobKind, idempotency_key: str) -> JobRecord | None:
        """The job that was enqueued with this idempotency key."""
        job_id = await self._store.field(
            Keys.JOB_IDEMPOTENCY, f"{self._queue(kind)}/{idempotency_key}"
        )
        return await self.get(job_id) if job_id else None

    async def history(self, kind: JobKind, start: int = 0, count: int = 50) -> list[JobRecord]:
        """Newest first. The `scripts.KEPT_ENDED_JOBS` that ended last are kept."""
        answer = await self._store.run(
            scripts.HISTORY_PAGE, [], [self._queue(kind), start, start + count - 1]
        )
        return [_parse(_pairs(flat)) for flat in answer]

    async def census(self, kind: JobKind) -> QueueCensus:
        queued, waiting, running, oldest = await self._store.run(
            scripts.CENSUS, [], [self._queue(kind)]
        )
        return QueueCensus(
            num_queued=queued,
            num_waiting=waiting,
            num_running=running,
            oldest_seconds=float(oldest),
        )

    async def claim(self, kind: JobKind, holder: str, max_running: int = 0) -> JobRecord | None:
        """The most urgent job, now this holder's; None when there is none or enough run.

        A claim whose answer was lost is answered by the next call of the same holder.
        """
        arguments = self._claim(kind, holder, max_running)
        answer = await self._store.run(scripts.CLAIM, [], arguments)
        return await self._claimed(answer, kind, holder, arguments)

    async def claim_on_news(
        self, kind: JobKind, holder: str, after: str, max_running: int = 0
    ) -> tuple[str, JobRecord | None]:
        """Waits up to a second for news of the kind after the mark, then claims: a new mark too.

        Redis claims in the moment of the news: a waiting worker has the job a journey sooner than
        by `wait` and `claim`.
        """
        arguments = self._claim(kind, holder, max_running)
        entries, answer = await self._store.run_on_news(
            Keys.JOB_WAKE.format(self._queue(kind)),
            after,
            _BLOCK_MILLISECONDS,
            scripts.CLAIM,
            arguments,
        )
        mark = entries[-1][0] if entries else after
        return mark, await self._claimed(answer, kind, holder, arguments)

    def _claim(self, kind: JobKind, holder: str, max_running: int) -> list[str | int | float]:
        """Arguments of CLAIM."""
        ticket = self._tickets.setdefault((kind, holder), uuid.uuid4().hex)
        return [self._queue(kind), holder, self.lease_seconds, max_running, ticket]

    async def _claimed(
        self, answer: Any, kind: JobKind, holder: str, arguments: list[str | int | float]
    ) -> JobRecord | None:
        while answer and answer.startswith(scripts.CLOSED):
            await self._reopen(answer.removeprefix(scripts.CLOSED))
            answer = await self._store.run(scripts.CLAIM, [], arguments)
        del self._tickets[kind, holder]
        if not answer:
            return None
        CLAIMED.labels(kind).inc()
        return _parse(_pairs(answer))

    async def _reopen(self, job_id: str) -> None:
        with contextlib.suppress(NotFound):  # ended and forgotten since
            job = await self.get(job_id)
            if job.window:
                opens_at, closes_at = opening(job.window, await self._store.time())
                arguments = [job_id, job.queue, repr(opens_at), repr(closes_at)]
                await self._store.run(scripts.REOPEN, [], arguments)

    async def wait(
        self, kind: JobKind, after: str, timeout_seconds: float
    ) -> tuple[str, frozenset[str]]:
        """Returns when there is news of jobs of the kind after the mark: a new mark, and whose.

        News are that a job may be claimed, or that its holder should ask for its signal.
        """
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            entries = await self._store.read_stream(
                Keys.JOB_WAKE.format(self._queue(kind)), after, _BLOCK_MILLISECONDS
            )
            if entries:
                return entries[-1][0], frozenset(fields["job_id"] for _, fields in entries)
        return after, frozenset()

    async def mark(self, kind: JobKind) -> str:
        """Where `wait` goes on after what is known now."""
        return await self._store.newest_entry(Keys.JOB_WAKE.format(self._queue(kind)))

    async def heartbeat(
        self,
        job: JobRecord,
        progress: JobProgress | None = None,
        resume: Mapping[str, Any] | None = None,
    ) -> JobSignal:
        """Renews the lease, also one that has expired if nobody took the job. Raises LeaseLost."""
        answer = await self._store.run(
            scripts.HEARTBEAT,
            [],
            [
                job.job_id,
                job.queue,
                job.token,
                self.lease_seconds,
                progress.model_dump_json() if progress else "",
                progress.num_done if progress else 0,
                json.dumps(resume) if resume is not None else "",
            ],
        )
        self._check(job, answer)
        return JobSignal(int(answer))

    async def succeed(self, job: JobRecord, result: Mapping[str, Any]) -> None:
        """Raises LeaseLost, and then nothing is written; so do the next four."""
        await self._finish(job, JobStatus.SUCCEEDED, json.dumps(result))

    async def fail(self, job: JobRecord, error: str) -> None:
        await self._finish(job, JobStatus.FAILED, error)

    async def confirm_cancelled(self, job: JobRecord) -> None:
        await self._finish(job, JobStatus.CANCELLED, "{}")

    async def retry(self, job: JobRecord, error: str, delay_seconds: float | None = None) -> None:
        """After a failed attempt; the job fails for good after `max_attempts` that got no further.

        Without a delay the pause doubles with every failure.
        """
        pause = retry_pause_seconds(job.num_failures) if delay_seconds is None else delay_seconds
        await self._give_back(job, error, pause, failed=True)

    async def give_back(self, job: JobRecord, why: str, delay_seconds: float = 0.0) -> None:
        """To go on later, elsewhere or in its next window: nothing has failed."""
        await self._give_back(job, why, delay_seconds, failed=False)

    async def _give_back(
        self, job: JobRecord, why: str, delay_seconds: float, *, failed: bool
    ) -> None:
        answer = await self._store.run(
            scripts.GIVE_BACK,
            [],
            [job.job_id, job.queue, job.token, delay_seconds, why, int(failed)],
        )
        self._check(job, answer)

    async def cancel(self, job_id: str) -> JobRecord:
        """A running job ends when its worker hears of it. Raises Conflict when it has ended."""
        job = await self.get(job_id)
        if not await self._store.run(scripts.CANCEL, [], [job_id, job.queue, uuid.uuid4().hex]):
            ended = await self.get(job_id)
            raise Conflict(f"Job {job_id} has {ended.status} already.")
        return await self.get(job_id)

    async def ask_to_yield(self, job_id: str, why: str) -> bool:
        """Asks its worker to give a running job back; False when nobody runs it."""
        job = await self.get(job_id)
        return bool(await self._store.run(scripts.ASK_TO_YIELD, [], [job_id, job.queue, why]))

    async def forget(self, job_id: str) -> None:
        """Deletes the record of an ended job. Raises Conflict while it is open."""
        job = await self.get(job_id)
        if not await self._store.run(scripts.FORGET, [], [job_id, job.queue]):
            raise Conflict(f"Job {job_id} is {job.status}; cancel it before you delete it.")

    async def sweep(self, kind: JobKind) -> list[str]:
        """Puts back the jobs of lost workers; their ids.

        Call it only after Redis has answered for one lease.
        """
        answered_at = await self._store.time()
        job_ids: list[str] = await self._store.run(
            scripts.SWEEP, [], [self._queue(kind), repr(answered_at)]
        )
        LOST.labels(kind).inc(len(job_ids))
        return job_ids

    async def redis_up_seconds(self) -> float:
        """How long this Redis has been running."""
        async with self._store.answering():
            return float((await self._store.redis.info("server"))["uptime_in_seconds"])

    async def events(self, job_id: str, after: str = "0-0") -> AsyncIterator[JobEvent]:
        """Every event after an id, then new ones, until the job has ended.

        Events are kept for a day after the end; after that there is only the last one.
        """
        await self.get(job_id)
        while True:
            entries = await self._store.read_stream(
                Keys.JOB_EVENTS.format(job_id), after, _BLOCK_MILLISECONDS
            )
            for after, fields in entries:
                yield JobEvent(event_id=after, event=fields["event"], data=fields["data"])
                if fields["event"] in TERMINAL:
                    return
            if entries or (job := await self.get(job_id)).status not in TERMINAL:
                continue
            if await self._store.newest_entry(Keys.JOB_EVENTS.format(job_id)) == "0-0":
                yield _last_event(job)
            return

    async def _finish(self, job: JobRecord, status: JobStatus, value: str) -> None:
        answer = await self._store.run(
            scripts.FINISH, [], [job.job_id, job.queue, job.token, status, value]
        )
        self._check(job, answer)
        ENDED.labels(job.kind, status).inc()

    def _queue(self, kind: JobKind) -> str:
        return queue_name(kind, self._lane)

    def _check(self, job: JobRecord, answer: object) -> None:
        if answer == 0:
            FENCED_WRITES.labels("job").inc()
            raise LeaseLost(f"{job.holder} lost job {job.job_id}; it must stop its work.")


def retry_pause_seconds(num_failures: int) -> float:
    """Before an attempt that follows so many failures and one more."""
    return float(min(_FIRST_PAUSE_SECONDS * 2 ** min(num_failures, 30), _LONGEST_PAUSE_SECONDS))


def _check_wish(priority: int, delay_seconds: float, max_attempts: int, num_awaited: int) -> None:
    """Raises BadRequest."""
    if not -1000 <= priority <= 1000:
        raise BadRequest("priority must be between -1000 and 1000.", param="priority")
    if not math.isfinite(delay_seconds) or delay_seconds < 0:
        raise BadRequest("delay_seconds must be 0 or more.", param="delay_seconds")
    if max_attempts < 1:
        raise BadRequest("max_attempts must be 1 or more.", param="max_attempts")
    if num_awaited > _MAX_DEPENDENCIES:
        raise BadRequest(
            f"A job may wait for {_MAX_DEPENDENCIES} others, not for {num_awaited}.",
            param="depends_on",
        )


def _last_event(job: JobRecord) -> JobEvent:
    milliseconds = int((job.finished_at or 0) * 1000)
    failed = job.status is JobStatus.FAILED
    data = job.error if failed else json.dumps(job.result or {})
    return JobEvent(event_id=f"{milliseconds}-0", event=job.status, data=data)


_JSON_FIELDS = ("payload", "depends_on", "window", "progress", "resume", "result")


def _pairs(record: str) -> dict[str, str]:
    flat = json.loads(record)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _parse(fields: Mapping[str, str]) -> JobRecord:
    values: dict[str, Any] = {name: value for name, value in fields.items() if value != ""}
    for name in _JSON_FIELDS:
        if name in values:
            values[name] = json.loads(values[name])
    return JobRecord.model_validate(values)
