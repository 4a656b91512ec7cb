"""`python -m tests.faults.beating URL REPLICA_ID`: a ready replica, until it is killed."""

from __future__ import annotations

import asyncio
import sys
import time

from services.cluster.records import ReplicaPhase, ReplicaRecord
from services.cluster.registry import Registry
from services.cluster.registry_cache import Heartbeat
from services.cluster.store.connection import Store


async def main(url: str, replica_id: str) -> None:
    registry = Registry(await Store.connect(url))
    record = ReplicaRecord(
        replica_id=replica_id,
        deployment_id="d1",
        model="m",
        engine="echo",
        host_id="here",
        phase=ReplicaPhase.READY,
        started_at=time.time(),
    )
    async with Heartbeat(lambda: registry.put_replica(record)):
        print("up", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
