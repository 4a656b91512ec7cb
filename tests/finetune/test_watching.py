"""Watching a run from any place on, without a worker."""

from __future__ import annotations

import asyncio

import pytest

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.finetune.journal import EventKind, Journal
from services.finetune.watching import watch_run
from tests.finetune.desk import Desk, spec


async def watched(desk: Desk, run_id: str, after: str, **wanted: object) -> list[str]:
    """The kinds and ids of all events; the stream has to end."""
    request = pb.WatchRunRequest(run_id=run_id, after_event_id=after, **wanted)  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        found = [event async for event in watch_run(request, desk.requests, desk.files)]
    return [f"{event.WhichOneof('event')} {event.event_id}".strip() for event in found]


async def run_with_events(desk: Desk) -> str:
    job = await desk.requests.create(spec(), "")
    journal = Journal(desk.files.folder(job.job_id))
    for step in (1, 2):
        journal.append(EventKind.METRICS, {"step": step})
    return job.job_id


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_stream_ends_with_the_run_wherever_it_begins(
    desk: Desk, is_cancelled: bool
) -> None:
    run_id = await run_with_events(desk)
    if is_cancelled:
        await desk.requests.cancel(run_id)
    wanted = {"history_only": not is_cancelled}
    whole = ["run", "metrics 1", "metrics 2", "run 2"]
    assert await watched(desk, run_id, "", **wanted) == whole
    assert await watched(desk, run_id, "1", **wanted) == ["run 1", "metrics 2", "run 2"]
    assert await watched(desk, run_id, "2", **wanted) == ["run 2", "run 2"]
    # Ids that the journal does not have, as after a crash of the host that took its end.
    for unknown in ("3", "9" * 19):
        assert await watched(desk, run_id, unknown, **wanted) == whole


async def test_whoever_returns_to_a_long_journal_gets_its_tail(desk: Desk) -> None:
    job = await desk.requests.create(spec(), "")
    journal = Journal(desk.files.folder(job.job_id))
    for _ in range(40):
        journal.append(EventKind.LOG, {"text": "x" * 50_000})
    await desk.requests.cancel(job.job_id)
    assert await watched(desk, job.job_id, "38") == ["run 38", "log 39", "log 40", "run 40"]


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "\u0663", str(2**64), "9" * 5000])
async def test_a_wrong_id_is_refused(desk: Desk, after: str) -> None:
    run_id = await run_with_events(desk)
    with pytest.raises(BadRequest, match="must come from a RunEvent") as refused:
        await watched(desk, run_id, after, history_only=True)
    assert refused.value.param == "after_event_id"
