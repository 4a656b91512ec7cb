"""What the agents of Refact's plugins report once an hour, and the rows that a plugin shows of it.

A report that is not answered with OK is kept there and sent again every hour: what is new to this
server is taken and ignored. Snippets hold code, so they are counted and dropped.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.cluster.telemetry_records import ReportedRow, WrittenRow
from services.gateway.auth import COMPLETIONS, Caller
from services.gateway.file_languages import known_extension, language_of
from services.gateway.metrics import (
    PLUGIN_CALLS,
    PLUGIN_SNIPPETS,
    REMAINING_COMPLETIONS,
    WRITTEN_CHARACTERS,
    WRITTEN_COMPLETIONS,
)
from services.gateway.refact_caps import SNIPPETS_PLACE, TELEMETRY_PLACE, WRITTEN_PLACE
from services.gateway.refact_problems import tell_as_refact
from services.gateway.reported_names import known_to_refact
from services.gateway.request_body import decode, parse, read, takes
from services.gateway.state import GatewayState, state_of
from services.gateway.telemetry_reports import (
    REMAINS,
    CallReport,
    RemainingReport,
    Report,
    Written,
    WrittenReport,
)

router = APIRouter(dependencies=[Depends(tell_as_refact)])
Completer = Annotated[Caller, Depends(COMPLETIONS)]

_ROWS_OF_A_LINE = 100
# The agent names the method of what its plugin asked, where that is no generation.
_SCOPES = frozenset({"completion", "chat", "GET", "POST"})
_KEPT_VERSION_CHARS = 64
_ROBOT_HUMAN = "robot_human"


@dataclass(frozen=True)
class _Received:
    """A report whose records are still to be read."""

    state: GatewayState
    caller: Caller
    values: dict[str, Any]
    report: Report
    report_id: str

    def known(self, name: str) -> tuple[str, str]:
        return known_to_refact(self.state.view, name, self.caller.team_id)


class Rows(Response):
    """JSON objects, each on a line."""

    media_type = "application/x-ndjson"


class Taken(BaseModel):
    retcode: str = "OK"


@router.post("/" + TELEMETRY_PLACE, openapi_extra=takes(Report), response_model=Taken)
async def take_report(request: Request, caller: Completer) -> Response:
    received = await _received(request, caller)
    take = _TAKES.get(received.report.teletype)
    if take is not None:
        await take(received)
    return JSONResponse(Taken().model_dump())


@router.post("/" + SNIPPETS_PLACE, openapi_extra=takes(Report), response_model=Taken)
async def count_snippets(request: Request, caller: Completer) -> Response:
    received = await _received(request, caller)
    PLUGIN_SNIPPETS.inc(len(received.report.records))
    return JSONResponse(Taken().model_dump())


@router.get("/" + WRITTEN_PLACE, response_class=Rows)
async def list_written(request: Request, caller: Completer) -> Response:
    """The caller's rows, oldest first: JSON objects of up to 100, each on a line."""
    rows = await state_of(request).written.of_user(caller.user_id) if caller.user_id else []
    lines = "".join(_lines(caller, rows))
    return Rows(lines)


async def _received(request: Request, caller: Caller) -> _Received:
    body = await read(request)
    values = decode(body)
    report = parse(Report, values)
    report.check_times(time.time())
    report_id = hashlib.sha256(body).hexdigest()[:16]
    return _Received(state_of(request), caller, values, report, report_id)


async def _take_calls(received: _Received) -> None:
    for call in parse(CallReport, received.values).records:
        scope = call.scope if call.scope in _SCOPES else "other"
        PLUGIN_CALLS.labels(scope, "ok" if call.success else "failed").inc(call.counter)


async def _take_written(received: _Received) -> None:
    """Raises StoreUnavailable; then nothing is counted, and the agent sends it again."""
    records = parse(WrittenReport, received.values).records
    names = [received.known(record.model) for record in records]
    if received.caller.user_id:
        rows = [
            _row(received, number, record, *name)
            for number, (record, name) in enumerate(zip(records, names, strict=True))
        ]
        await received.state.written.add(received.caller.user_id, rows)
    for record, name in zip(records, names, strict=True):
        language = language_of(record.file_extension)
        WRITTEN_CHARACTERS.labels("robot", *name, language).inc(record.robot_characters)
        WRITTEN_CHARACTERS.labels("human", *name, language).inc(record.human_characters)
        WRITTEN_COMPLETIONS.labels(*name, language).inc(record.completions_cnt)


async def _take_remaining(received: _Received) -> None:
    for record in parse(RemainingReport, received.values).records:
        name = received.known(record.model)
        for field, count in record.remains.items():
            if count:
                REMAINING_COMPLETIONS.labels(*name, *REMAINS[field]).inc(count)


_TAKES: Mapping[str, Callable[[_Received], Awaitable[None]]] = {
    "network": _take_calls,
    _ROBOT_HUMAN: _take_written,
    "comp_counters": _take_remaining,
}


def _row(
    received: _Received, number: int, record: Written, model: str, adapter_id: str
) -> WrittenRow:
    return WrittenRow(
        report_id=received.report_id,
        number=number,
        team_id=received.caller.team_id,
        model=f"{model}:{adapter_id}" if adapter_id else model,
        file_extension=known_extension(record.file_extension),
        human_characters=record.human_characters,
        robot_characters=record.robot_characters,
        num_completions=record.completions_cnt,
        client_version=received.report.enduser_client_version[:_KEPT_VERSION_CHARS],
        started_at=received.report.ts_start,
        ended_at=received.report.ts_end,
    )


def _lines(caller: Caller, rows: Sequence[ReportedRow]) -> Iterator[str]:
    """At least one, which may be of no rows."""
    for start in range(0, max(len(rows), 1), _ROWS_OF_A_LINE):
        data = [
            _shown(caller, number, reported)
            for number, reported in enumerate(rows[start : start + _ROWS_OF_A_LINE], start + 1)
        ]
        yield json.dumps({"retcode": "OK", "data": data}) + "\n"


def _shown(caller: Caller, number: int, reported: ReportedRow) -> dict[str, Any]:
    """The agent reads a row only if it has every field. Addresses are not kept."""
    row = reported.row
    return {
        "id": number,
        "tenant_name": caller.user_id,
        "ts_reported": int(reported.reported_at),
        "ip": "",
        "enduser_client_version": row.client_version,
        "completions_cnt": row.num_completions,
        "file_extension": row.file_extension,
        "human_characters": row.human_characters,
        "model": row.model,
        "robot_characters": row.robot_characters,
        "teletype": _ROBOT_HUMAN,
        "ts_start": row.started_at,
        "ts_end": row.ended_at,
    }
