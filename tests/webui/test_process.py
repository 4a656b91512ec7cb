"""`python -m services.webui` as the launcher starts it."""

from __future__ import annotations

import asyncio
import os
import sys

import httpx

from services.cluster.pb.v1 import process_pb2 as pb
from services.cluster.pb.v1 import process_pb2_grpc as rpc
from services.cluster.records import ProcessRecord
from services.cluster.registry import ClusterView, Registry
from services.cluster.rpc import open_channel
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store


def webui(view: ClusterView) -> ProcessRecord | None:
    return next((p for p in view.processes.values() if p.service == "webui"), None)


async def ready(store: Store) -> ProcessRecord:
    async for view in Registry(store).watch():
        record = webui(view)
        if record and record.status == "ready":
            return record
    raise AssertionError("the registry ended")


async def test_registers_serves_and_leaves(store: Store, settings: ClusterSettings) -> None:
    environment = {
        **os.environ,
        "HEARTH_REDIS_URL": settings.redis_url,
        "HEARTH_DATA_DIR": str(settings.data_dir),
        "HEARTH_CLUSTER_KEY": settings.key,
        "HEARTH_HOST_ID": "here",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.webui", env=environment
    )
    try:
        record = await asyncio.wait_for(ready(store), 60)
        assert (record.host_id, record.pid) == ("here", process.pid)
        async with httpx.AsyncClient(base_url=f"http://{record.http_address}") as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/assets/missing.js")).status_code == 404
        async with open_channel(record.address, settings) as channel:
            info = await rpc.ProcessStub(channel).GetProcess(pb.GetProcessRequest())
        assert (info.service, info.pid) == ("webui", process.pid)
    finally:
        process.terminate()
        status = await asyncio.wait_for(process.wait(), 60)
    assert status == 0
    assert webui(await Registry(store).view()) is None


async def test_a_bad_setting_is_named(settings: ClusterSettings) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.webui",
        env={**os.environ, "HEARTH_WEBUI_PORT": "many"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert said.startswith(b"HEARTH_WEBUI_PORT: ")
