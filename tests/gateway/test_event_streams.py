"""Streams of events: resumed, kept alive, cancelled with their client, ended with an error."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp

from services.cluster.errors import BadRequest, Unavailable
from services.cluster.identity import Scope
from services.cluster.pb.v1 import datascan_pb2 as scan_pb
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.cluster.records import ProcessRecord
from services.gateway.live_answer import KEEP_ALIVE
from tests.gateway.conftest import Gateway
from tests.gateway.services import DatascanDouble, FinetuneDouble, behind

RUN = pb.Run(
    run_id="run-1",
    status=pb.RUN_STATUS_RUNNING,
    phase=pb.RUN_PHASE_TRAINING,
    plan=pb.RunPlan(memory=pb.RunMemory(total_bytes=2**40), parameters=pb.RunParameters()),
    spec=pb.RunSpec(),
)
METRICS = pb.RunMetrics(step=3, train_loss=1.5, num_tokens=2**40)
PATHS = {
    "finetune": "/api/v1/runs/run-1/events",
    "datascan": "/api/v1/scans/scan-1/events",
}


@pytest_asyncio.fixture
async def finetune(gateway: Gateway) -> AsyncIterator[FinetuneDouble]:
    double = FinetuneDouble()
    async with behind(gateway, "finetune", double):
        yield double


@pytest_asyncio.fixture
async def datascan(gateway: Gateway) -> AsyncIterator[DatascanDouble]:
    double = DatascanDouble()
    async with behind(gateway, "datascan", double):
        yield double


class Stream:
    """What an open answer tells, comments left out."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self) -> dict[str, Any] | None:
        """The fields of an event, `data` decoded; None at the end."""
        fields: dict[str, Any] = {}
        async with asyncio.timeout(20):
            async for line in self._lines:
                if line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    fields[name] = json.loads(value) if name == "data" else value
                elif fields:
                    return fields
        return fields or None


@asynccontextmanager
async def following(
    gateway: Gateway, path: str, headers: dict[str, str] | None = None, **query: Any
) -> AsyncIterator[Stream]:
    async with (
        gateway.client(Scope.ADMIN) as client,
        client.stream("GET", path, params=query, headers=headers) as answer,
    ):
        yield Stream(answer)


async def test_a_point_that_is_no_number_is_left_out(
    gateway: Gateway, finetune: FinetuneDouble
) -> None:
    nan = float("nan")
    points = [
        pb.RunMetrics(step=1, train_loss=1.5, test_loss=nan),
        pb.RunMetrics(step=2, train_loss=nan),
        pb.RunMetrics(step=3, train_loss=1.5, gradient_norm=float("inf")),
        pb.RunMetrics(step=4, train_loss=1.5),
    ]
    async with following(gateway, PATHS["finetune"]) as stream:
        watch = await finetune.watches.next()
        for point in points:
            watch.events.put_nowait(pb.RunEvent(event_id=str(point.step), metrics=point))
        watch.events.put_nowait(None)
        first, last, end = [await stream.next() for _ in range(3)]
    assert first is not None
    assert (first["data"]["step"], first["data"]["test_loss"]) == (1, None)
    assert last is not None
    assert (last["event"], last["data"]["step"], end) == ("metrics", 4, None)


async def test_events_of_a_run_are_told_by_name(gateway: Gateway, finetune: FinetuneDouble) -> None:
    events = [
        pb.RunEvent(run=RUN),
        pb.RunEvent(event_id="1", metrics=METRICS),
        pb.RunEvent(
            event_id="2",
            event_at=Timestamp(seconds=5),
            log=pb.RunLogLine(level="info", text="hello\nyou"),
        ),
        pb.RunEvent(event_id="3", checkpoint=pb.RunCheckpoint(checkpoint_id="c1", best=True)),
        pb.RunEvent(
            event_id="4",
            evaluation=pb.Evaluation(checkpoint_id="c1", status=pb.EVALUATION_STATUS_RUNNING),
        ),
    ]
    query: dict[str, Any] = {"kinds": ["run", "metrics"], "history_only": True, "after": "7"}
    async with following(gateway, PATHS["finetune"], **query) as stream:
        watch = await finetune.watches.next()
        for told in events:
            watch.events.put_nowait(told)
        watch.events.put_nowait(None)
        seen = [await stream.next() for _ in range(6)]
    assert watch.request == pb.WatchRunRequest(
        run_id="run-1",
        after_event_id="7",
        kinds=[pb.RUN_EVENT_KIND_RUN, pb.RUN_EVENT_KIND_METRICS],
        history_only=True,
    )
    run, metrics, log, checkpoint, evaluation, end = seen
    assert end is None
    assert run is not None
    assert "id" not in run
    assert (run["event"], run["data"]["status"], run["data"]["phase"]) == (
        "run",
        "running",
        "training",
    )
    assert metrics is not None
    assert (metrics["id"], metrics["event"]) == ("1", "metrics")
    assert (metrics["data"]["train_loss"], metrics["data"]["test_loss"]) == (1.5, None)
    assert metrics["data"]["num_tokens"] == 2**40
    assert log is not None
    assert log["data"] == {"event_at": 5.0, "level": "info", "text": "hello\nyou"}
    assert checkpoint is not None
    assert (checkpoint["data"]["best"], checkpoint["data"]["evaluation"]) == (True, None)
    assert evaluation is not None
    assert (evaluation["data"]["status"], evaluation["data"]["verdict"]) == ("running", None)


async def test_events_of_a_scan_are_told_by_name(
    gateway: Gateway, datascan: DatascanDouble
) -> None:
    scan = scan_pb.Scan(
        scan_id="scan-1",
        status=scan_pb.SCAN_STATUS_QUEUED,
        trigger=scan_pb.SCAN_TRIGGER_SOURCES,
        counts=scan_pb.ScanCounts(),
    )
    async with following(gateway, PATHS["datascan"]) as stream:
        watch = await datascan.watches.next()
        watch.events.put_nowait(scan_pb.ScanEvent(event_id="1-0", scan=scan))
        watch.events.put_nowait(scan_pb.ScanEvent(event_id="2-0", log_line="It begins."))
        watch.events.put_nowait(None)
        first, second, end = [await stream.next() for _ in range(3)]
    assert first is not None
    assert (first["id"], first["event"], first["data"]["trigger"]) == ("1-0", "scan", "sources")
    data = {"event_at": 0.0, "log_line": "It begins."}
    assert (second, end) == ({"id": "2-0", "event": "log", "data": data}, None)


@pytest.mark.parametrize("service", ["finetune", "datascan"])
async def test_a_browser_goes_on_where_it_was(
    gateway: Gateway, finetune: FinetuneDouble, datascan: DatascanDouble, service: str
) -> None:
    """It repeats the address it had, with the id of what it saw last in a header."""
    watches = (finetune if service == "finetune" else datascan).watches
    for headers, query, expected in (
        ({}, {}, ""),
        ({}, {"after": "3"}, "3"),
        ({"Last-Event-ID": "9"}, {"after": "3"}, "9"),
    ):
        async with following(gateway, PATHS[service], headers, **query) as stream:
            watch = await watches.next()
            watch.events.put_nowait(None)
            assert await stream.next() is None
        assert watch.request.after_event_id == expected


@pytest.mark.parametrize("has_told", [True, False])
async def test_a_client_that_goes_away_cancels_the_rpc(
    gateway: Gateway, finetune: FinetuneDouble, has_told: bool
) -> None:
    async with following(gateway, PATHS["finetune"]) as stream:
        watch = await finetune.watches.next()
        if has_told:
            watch.events.put_nowait(pb.RunEvent(event_id="1", metrics=METRICS))
            assert await stream.next() is not None
    await asyncio.wait_for(watch.cancelled.wait(), 5)


async def test_what_fails_before_the_first_event_has_its_status(
    gateway: Gateway, finetune: FinetuneDouble
) -> None:
    finetune.watches.refusal = BadRequest("after_event_id must come from an event.")
    async with gateway.client(Scope.ADMIN) as client:
        answer = await client.get(PATHS["finetune"])
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"


async def test_what_fails_later_is_an_event(gateway: Gateway, finetune: FinetuneDouble) -> None:
    async with following(gateway, PATHS["finetune"]) as stream:
        watch = await finetune.watches.next()
        watch.events.put_nowait(pb.RunEvent(event_id="1", metrics=METRICS))
        assert await stream.next() is not None
        watch.events.put_nowait(Unavailable("Redis is away."))
        told = await stream.next()
        assert told is not None
        assert (told["event"], told["data"]["detail"]) == ("error", "Redis is away.")
        assert told["data"]["error"]["code"] == "unavailable"
        assert await stream.next() is None


async def test_a_service_that_ends_under_a_stream_is_an_event(gateway: Gateway) -> None:
    double = FinetuneDouble()
    async with (
        behind(gateway, "finetune", double) as server,
        following(gateway, PATHS["finetune"]) as stream,
    ):
        watch = await double.watches.next()
        watch.events.put_nowait(pb.RunEvent(event_id="1", metrics=METRICS))
        assert await stream.next() is not None
        await server.stop(0)
        told = await stream.next()
        assert told is not None
        assert (told["event"], told["data"]["error"]["code"]) == ("error", "unavailable")
        assert told["data"]["detail"].endswith(".")
        assert await stream.next() is None


async def test_a_gateway_that_stops_says_so(gateway: Gateway, finetune: FinetuneDouble) -> None:
    async with following(gateway, PATHS["finetune"]) as stream:
        watch = await finetune.watches.next()
        gateway.state.stopping.set()
        told = await stream.next()
        assert told is not None
        assert "being stopped" in told["data"]["detail"]
        assert await stream.next() is None
    await asyncio.wait_for(watch.cancelled.wait(), 5)


async def test_who_watches_something_quiet_is_told_that_it_watches(
    gateway: Gateway, datascan: DatascanDouble
) -> None:
    path = "/api/v1/projects/p/sources/events"
    async with asyncio.timeout(10), following(gateway, path) as stream:
        assert stream.answer.status_code == 200
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        assert await anext(stream.answer.aiter_lines()) == KEEP_ALIVE.decode().strip()


GETS = ("/api/v1/projects", "/api/v1/runs", *PATHS.values())


async def refused(gateway: Gateway, path: str) -> None:
    """With 503 and a sentence, soon."""
    began = time.monotonic()
    async with gateway.client(Scope.ADMIN) as client:
        answer = await client.get(path)
    assert answer.status_code == 503, answer.text
    assert time.monotonic() - began < 2
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize("path", GETS)
async def test_a_service_that_is_away_is_503(gateway: Gateway, path: str) -> None:
    await refused(gateway, path)


@pytest.mark.parametrize("listens", [True, False])
@pytest.mark.parametrize("path", GETS)
async def test_a_service_that_died_or_hangs_is_503(
    gateway: Gateway, path: str, listens: bool
) -> None:
    """The registry still says ready. A process that is stopped still takes connections."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        if listens:
            place.listen()
        for service in PATHS:
            record = ProcessRecord(
                process_id=service,
                service=service,
                host_id="here",
                address=f"127.0.0.1:{place.getsockname()[1]}",
                status="ready",
                started_at=1.0,
            )
            await gateway.state.registry.put_process(record)
        await gateway.state.cache.refresh()
        await refused(gateway, path)
