"""Redis stops answering in the middle of a scan."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cluster import redis_server
from services.cluster.errors import StoreUnavailable
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.datascan.archives import program, zipped
from tests.datascan.running import DatascanHost, ended, scan_when, upload

pytestmark = [pytest.mark.faults, pytest.mark.slow]

OUTAGE_SECONDS = 8  # longer than the lease of the test's scans


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    command, url = redis_server.prepare(tmp_path)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    yield process, url
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.wait(10)


async def connected(url: str) -> Store:
    deadline = time.monotonic() + 10
    while True:
        try:
            return await Store.connect(url)
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise


async def test_a_scan_outlives_an_outage_of_redis(
    redis: tuple[subprocess.Popen[bytes], str], settings: ClusterSettings
) -> None:
    server, url = redis
    store = await connected(url)
    host = DatascanHost(settings.model_copy(update={"redis_url": url}), Registry(store))
    stub = await host.start()
    project = await stub.CreateProject(
        pb.CreateProjectRequest(team_id="t", spec=pb.ProjectSpec(name="web"))
    )
    content = zipped({f"{seed}.py": program(seed) for seed in range(3000)})
    await stub.UploadSource(upload(project.project_id, "a.zip", content))
    await scan_when(stub, project.project_id, lambda scan: scan.counts.num_files > 0)
    server.send_signal(signal.SIGSTOP)
    await asyncio.sleep(OUTAGE_SECONDS)
    server.send_signal(signal.SIGCONT)
    await asyncio.sleep(1)
    scan = await scan_when(stub, project.project_id, ended)
    assert (scan.status, scan.attempt) == (pb.SCAN_STATUS_SUCCEEDED, 1)
    datasets = await stub.ListDatasets(pb.ListDatasetsRequest(project_id=project.project_id))
    assert len(datasets.datasets) == 1
    assert await host.end(signal.SIGTERM) == 0
    await store.close()
