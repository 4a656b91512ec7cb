"""How a process joins the cluster: its record, its RPC server, its metrics, its heartbeat."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.cluster import VERSION
from services.cluster.errors import StoreUnavailable
from services.cluster.metrics import Targets, serve_metrics
from services.cluster.pb.v1 import process_pb2_grpc as rpc
from services.cluster.process_servicer import ProcessServicer
from services.cluster.records import ProcessRecord
from services.cluster.registry import Registry
from services.cluster.registry_cache import Heartbeat
from services.cluster.rpc import RpcServer
from services.cluster.settings import ClusterSettings

_GRACE_SECONDS = 2.0


class Membership:
    """`record` is what the others see of this process."""

    def __init__(self, record: ProcessRecord, heartbeat: Heartbeat, server: RpcServer) -> None:
        self.record = record
        self._heartbeat = heartbeat
        self._server = server

    def tell(self, status: str, detail: str = "", *, http_address: str | None = None) -> None:
        """Changes what the others see, at once."""
        changes: dict[str, object] = {"status": status, "detail": detail}
        if http_address is not None:
            changes["http_address"] = http_address
        self.record = self.record.model_copy(update=changes)
        self._heartbeat.beat()

    async def ready(self, *, http_address: str = "") -> None:
        await self._server.set_serving(True)
        self.tell("ready", http_address=http_address)


@asynccontextmanager
async def membership(
    service: str,
    settings: ClusterSettings,
    registry: Registry,
    server: RpcServer,
    targets: Targets | None = None,
) -> AsyncIterator[Membership]:
    """Seen as starting from here on, until `ready`; forgotten at the end of the block.

    Starts `server`, to which the process has added its servicers; Process is added here. `targets`
    tells Prometheus what else to read.
    """
    record = ProcessRecord(
        process_id=f"{service}-{secrets.token_hex(4)}",
        service=service,
        host_id=settings.host_id,
        version=VERSION,
        pid=os.getpid(),
        started_at=time.time(),
    )
    servicer = ProcessServicer(record, settings, service)
    server.add("hearth.v1.Process", rpc.add_ProcessServicer_to_server, servicer)
    address = await server.start(settings.rpc_port)
    await server.set_serving(False)
    metrics_address = serve_metrics(
        settings.bind_host, settings.advertise_host, settings.metrics_port, targets
    )
    record = record.model_copy(update={"address": address, "metrics_address": metrics_address})
    heartbeat = Heartbeat(lambda: registry.put_process(member.record))
    member = Membership(record, heartbeat, server)
    try:
        async with heartbeat:
            yield member
        with contextlib.suppress(StoreUnavailable):  # then it is forgotten a little later
            await registry.remove_process(record.process_id)
    finally:
        await server.stop(_GRACE_SECONDS)
