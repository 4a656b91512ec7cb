"""A run as it goes: its journal from any place on, and its record whenever that changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from google.protobuf import json_format

from services.cluster.errors import BadRequest
from services.cluster.jobs.records import TERMINAL
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.finetune.journal import EventKind, JournalEntry, JournalReader, newest_event_id
from services.finetune.messages import timestamp
from services.finetune.requests import RunRequests
from services.finetune.run_files import RunFiles

_LOOK_SECONDS = 0.3
_MAX_ID_DIGITS = 19
_RECORD_SECONDS = 1.0  # Redis is asked for the record at most so often
_KINDS = {
    EventKind.METRICS: pb.RUN_EVENT_KIND_METRICS,
    EventKind.LOG: pb.RUN_EVENT_KIND_LOG,
    EventKind.CHECKPOINT: pb.RUN_EVENT_KIND_CHECKPOINT,
    EventKind.EVALUATION: pb.RUN_EVENT_KIND_EVALUATION,
}


async def watch_run(
    request: pb.WatchRunRequest, requests: RunRequests, files: RunFiles
) -> AsyncIterator[pb.RunEvent]:
    """Until the run has ended and all was told. The journal is a file, so any process can watch."""
    newest_id = _event_id(request.after_event_id)
    kinds = set(request.kinds)
    job = await requests.job(request.run_id)
    told = await requests.message(job)
    folder = files.folder(request.run_id)
    if newest_id > await asyncio.to_thread(newest_event_id, folder):
        newest_id = 0  # a crash of the host took it
    wants_run = not kinds or pb.RUN_EVENT_KIND_RUN in kinds
    yield _run_event(newest_id, told) if wants_run else pb.RunEvent()
    reader = JournalReader(folder, newest_id)
    looked_at = time.monotonic()
    while True:
        ended = job.status in TERMINAL
        while entries := await asyncio.to_thread(reader.read):
            for entry in entries:
                newest_id = entry.event_id
                if not kinds or _KINDS[entry.kind] in kinds:
                    yield to_event(entry)
        if ended or request.history_only:
            if wants_run:
                yield _run_event(newest_id, await requests.message(job))
            return
        await asyncio.sleep(_LOOK_SECONDS)
        if time.monotonic() - looked_at >= _RECORD_SECONDS:
            looked_at = time.monotonic()
            job = await requests.job(request.run_id)
            message = await requests.message(job)
            if wants_run and message != told and job.status not in TERMINAL:
                told = message
                yield _run_event(newest_id, message)


def _event_id(text: str) -> int:
    """0 for none. Raises BadRequest."""
    known = text.isascii() and text.isdigit() and len(text) <= _MAX_ID_DIGITS
    if text and not known:
        raise BadRequest("after_event_id must come from a RunEvent.", param="after_event_id")
    return int(text or 0)


def to_event(entry: JournalEntry) -> pb.RunEvent:
    event = pb.RunEvent(event_id=str(entry.event_id), event_at=timestamp(entry.event_at))
    json_format.ParseDict({entry.kind.value: entry.data}, event, ignore_unknown_fields=True)
    return event


def _run_event(newest_id: int, run: pb.Run) -> pb.RunEvent:
    """With the id of the last entry: whoever comes back with it misses nothing."""
    event_id = str(newest_id) if newest_id else ""
    return pb.RunEvent(event_id=event_id, event_at=timestamp(time.time()), run=run)
