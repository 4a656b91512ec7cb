"""Plain objects that several tests of the devices begin with."""

from __future__ import annotations

from services.cluster.devices.records import GIB, AssignmentRecord, DeviceRecord
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys


def a_device(
    name: str, host: str = "h1", gib: float = 24, *, kind: str = "cuda", healthy: bool = True
) -> DeviceRecord:
    return DeviceRecord(
        device_id=name,
        host_id=host,
        kind=kind,
        name="GPU",
        total_bytes=int(gib * GIB),
        healthy=healthy,
        detail="" if healthy else "Xid 79",
    )


def an_assignment(
    holder: str, device_ids: tuple[str, ...], gib: float = 0, host: str = "h1"
) -> AssignmentRecord:
    return AssignmentRecord(
        assignment_id=f"a-{holder}",
        holder=holder,
        host_id=host,
        device_ids=device_ids,
        device_bytes=int(gib * GIB),
        assigned_at=1.0,
    )


async def set_job(store: Store, job_id: str, status: str, token: int) -> None:
    """The two fields of a job's record by which it is fenced."""
    items = ["status", status, "token", str(token)]
    await store.redis.hset(Keys.JOB.format(job_id), items=items)
