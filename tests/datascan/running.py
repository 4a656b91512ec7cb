"""`python -m services.datascan` as the launcher starts it, and what tests ask of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from services.cluster.pb.v1 import datascan_pb2 as pb
from services.cluster.pb.v1 import datascan_pb2_grpc as rpc
from services.cluster.registry import Registry
from services.cluster.rpc import open_channel
from services.cluster.settings import ClusterSettings

CHUNK_BYTES = 64 * 1024


@dataclass
class DatascanHost:
    settings: ClusterSettings
    registry: Registry
    process: asyncio.subprocess.Process | None = None

    async def start(self, **changes: str) -> rpc.DatascanAsyncStub:
        """Returns when it says that it is ready."""
        environment = {
            **{name: value for name, value in os.environ.items() if "HEARTH" not in name},
            "HEARTH_REDIS_URL": self.settings.redis_url,
            "HEARTH_DATA_DIR": str(self.settings.data_dir),
            "HEARTH_CLUSTER_KEY": self.settings.key,
            "HEARTH_HOST_ID": "here",
            "HEARTH_SCAN_DELAY_SECONDS": "0.2",
            "HEARTH_SCAN_LEASE_SECONDS": "2",
        }
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.datascan", env=environment | changes
        )
        async with asyncio.timeout(60):
            async for view in self.registry.watch():
                for record in view.processes.values():
                    if record.pid == self.process.pid and record.status == "ready":
                        channel = open_channel(record.address, self.settings)
                        stub: rpc.DatascanAsyncStub = rpc.DatascanStub(channel)
                        return stub
        raise AssertionError("the registry ended")

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 30)


def upload(
    project_id: str, file_name: str, content: bytes, **header: object
) -> AsyncIterator[pb.UploadSourceRequest]:
    async def messages() -> AsyncIterator[pb.UploadSourceRequest]:
        yield pb.UploadSourceRequest(
            header=pb.UploadSourceHeader(
                project_id=project_id,
                file_name=file_name,
                **header,  # type: ignore[arg-type]
            )
        )
        for start in range(0, len(content), CHUNK_BYTES):
            yield pb.UploadSourceRequest(chunk=content[start : start + CHUNK_BYTES])

    return messages()


async def scan_when(
    stub: rpc.DatascanAsyncStub, project_id: str, holds: Callable[[pb.Scan], bool]
) -> pb.Scan:
    """The project's latest scan, as soon as it is what is waited for."""
    async with asyncio.timeout(60):
        while True:
            project = await stub.GetProject(pb.GetProjectRequest(project_id=project_id))
            if project.latest_scan_id:
                scan = await stub.GetScan(pb.GetScanRequest(scan_id=project.latest_scan_id))
                if holds(scan):
                    return scan
            await asyncio.sleep(0.02)


def ended(scan: pb.Scan) -> bool:
    return scan.status in (
        pb.SCAN_STATUS_SUCCEEDED,
        pb.SCAN_STATUS_FAILED,
        pb.SCAN_STATUS_CANCELLED,
    )
