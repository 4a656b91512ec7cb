"""The artifact store of another host, as a server in this process or in one of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from pydantic import SecretStr

from services.cluster.artifacts.servicer import ArtifactsServicer
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.pb.v1 import artifacts_pb2_grpc as rpc
from services.cluster.rpc import RpcServer
from services.cluster.settings import ClusterSettings

ROOT = Path(__file__).parents[3]


def settings_of(folder: Path) -> ClusterSettings:
    return ClusterSettings(data_dir=folder, cluster_key=SecretStr("test-key"), host_id="here")


@asynccontextmanager
async def serving(
    servicer: ArtifactsServicer, settings: ClusterSettings, port: int = 0
) -> AsyncIterator[str]:
    """HOST:PORT."""
    server = RpcServer(settings)
    server.add("hearth.v1.Artifacts", rpc.add_ArtifactsServicer_to_server, servicer)
    address = await server.start(port)
    try:
        yield address
    finally:
        await server.stop(0)


@contextmanager
def head_process(folder: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that may be killed, and its HOST:PORT."""
    command = [sys.executable, "-m", "tests.cluster.artifacts.head", str(folder), str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


async def _serve(folder: Path, port: int) -> None:
    servicer = ArtifactsServicer(ArtifactStore(folder), reserve_bytes=0)
    async with serving(servicer, settings_of(folder), port) as address:
        print(address, flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
