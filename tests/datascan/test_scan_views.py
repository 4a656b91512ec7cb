"""Watching a scan from any place on, without a worker."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest

from services.cluster.errors import BadRequest
from services.cluster.jobs.records import JobRecord
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.datascan.scan_views import ScanViews
from tests.datascan.archives import program
from tests.datascan.running import upload
from tests.datascan.scanning import Scanning


@pytest.fixture
def views(scanning: Scanning) -> ScanViews:
    return ScanViews(scanning.place.jobs, scanning.scans, scanning.place.settings.data_dir)


async def queued(scanning: Scanning) -> JobRecord:
    project_id = await scanning.project()
    await scanning.uploads.take(upload(project_id, "a.py", program(1).encode()))
    return await scanning.scan(project_id)


async def watched(views: ScanViews, scan_id: str, after: str = "") -> list[pb.ScanEvent]:
    """All events; the stream has to end."""
    async with asyncio.timeout(10):
        return [event async for event in views.events(scan_id, after)]


async def test_an_ended_scan_is_told_once_wherever_the_stream_begins(
    scanning: Scanning, views: ScanViews
) -> None:
    scan = await queued(scanning)
    await scanning.scans.cancel(scan.job_id)
    (event,) = await watched(views, scan.job_id)
    assert event.scan.status == pb.SCAN_STATUS_CANCELLED
    milliseconds = int(event.event_id.split("-")[0])
    assert event.event_at.ToMilliseconds() == milliseconds
    later = f"{milliseconds + 1}-7"
    for after in ("1-0", event.event_id, later, f"{2**64 - 1}-{2**64 - 1}"):
        (again,) = await watched(views, scan.job_id, after)
        assert again.scan == event.scan
    (again,) = await watched(views, scan.job_id, later)
    assert again.event_id == later  # ids never fall


async def test_a_scan_that_ends_while_nothing_new_is_told_ends_the_stream(
    scanning: Scanning, views: ScanViews
) -> None:
    scan = await queued(scanning)
    async with aclosing(views.events(scan.job_id, "")) as events, asyncio.timeout(10):
        seen = await anext(events)
        await scanning.scans.cancel(scan.job_id)
        assert [event.scan.status async for event in events] == [pb.SCAN_STATUS_CANCELLED]
    assert seen.scan.status == pb.SCAN_STATUS_QUEUED
    rest = await watched(views, scan.job_id, seen.event_id)
    assert [event.scan.status for event in rest] == [pb.SCAN_STATUS_CANCELLED]


async def test_an_id_of_the_future_counts_as_none(scanning: Scanning, views: ScanViews) -> None:
    scan = await queued(scanning)
    for after in (f"{int(time.time() * 1000) + 10**6}-0", f"{2**64 - 1}-0"):
        async with aclosing(views.events(scan.job_id, after)) as events, asyncio.timeout(10):
            assert (await anext(events)).scan.status == pb.SCAN_STATUS_QUEUED


@pytest.mark.parametrize(
    "after", ["x", "1", "1-2-3", "-1", "\u0663-0", "9" * 5000, f"{2**64}-0", f"1-{2**64}"]
)
async def test_a_wrong_id_is_refused(scanning: Scanning, views: ScanViews, after: str) -> None:
    scan = await queued(scanning)
    with pytest.raises(BadRequest, match="must come from a ScanEvent") as refused:
        await watched(views, scan.job_id, after)
    assert refused.value.param == "after_event_id"
