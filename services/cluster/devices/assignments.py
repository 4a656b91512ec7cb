"""Which process may use which device. `assign` is the only way to get one.

The policy is a pure function of a snapshot; the assignment is written by one script that refuses
when the snapshot is no longer the newest, and then the policy looks again. So two callers never
get the same bytes, and nothing is over-committed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from pydantic import TypeAdapter

from services.cluster.devices.policy import choose
from services.cluster.devices.records import (
    AssignmentRecord,
    AssignmentRequest,
    DeviceRecord,
    DeviceSnapshot,
)
from services.cluster.errors import Overloaded
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

_NUM_TRIES = 50


# KEYS: devices, assignments, version.
_SNAPSHOT = """
return {redis.call('GET', KEYS[3]) or '0', redis.call('HVALS', KEYS[1]),
        redis.call('HVALS', KEYS[2])}
"""

# Writes an assignment if nothing changed since the snapshot, or answers the one the holder has.
_ASSIGN = """
local held = redis.call('HGET', KEYS[2], ARGV[1])
if held then return held end
if (redis.call('GET', KEYS[3]) or '0') ~= ARGV[2] then return false end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('INCR', KEYS[3])
return ARGV[3]
"""

_RELEASE = """
if redis.call('HDEL', KEYS[2], ARGV[1]) == 1 then redis.call('INCR', KEYS[3]) return 1 end
return 0
"""

# The version counts what assign reads: sizes and health, not bytes in use or temperatures.
_PUBLISH = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('INCR', KEYS[3])
"""

_KEYS = [Keys.DEVICES, Keys.ASSIGNMENTS, Keys.DEVICES_VERSION]
_HOST_DEVICES = TypeAdapter(list[DeviceRecord])


class Devices:
    """Raises StoreUnavailable while Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def publish(self, host_id: str, devices: Sequence[DeviceRecord]) -> None:
        """Replaces what is known of a host's devices."""
        text = _HOST_DEVICES.dump_json(list(devices)).decode()
        await self._store.run(_PUBLISH, _KEYS, [host_id, text])

    async def snapshot(self) -> DeviceSnapshot:
        version, hosts, assignments = await self._store.run(_SNAPSHOT, _KEYS, [])
        devices = [device for host in hosts for device in _HOST_DEVICES.validate_json(host)]
        return DeviceSnapshot(
            int(version),
            tuple(sorted(devices, key=lambda device: device.device_id)),
            tuple(AssignmentRecord.model_validate_json(text) for text in assignments),
        )

    async def assign(self, request: AssignmentRequest) -> AssignmentRecord:
        """Assigns devices, or answers what the holder has already.

        Raises DevicesUnavailable when the policy finds none.
        """
        for _ in range(_NUM_TRIES):
            snapshot = await self.snapshot()
            held = next((a for a in snapshot.assignments if a.holder == request.holder), None)
            if held:
                return held
            chosen = choose(snapshot, request)
            record = AssignmentRecord(
                holder=request.holder,
                host_id=chosen[0].host_id,
                device_ids=tuple(device.device_id for device in chosen),
                device_bytes=request.device_bytes,
                assigned_at=time.time(),
            )
            written = await self._store.run(
                _ASSIGN, _KEYS, [request.holder, str(snapshot.version), record.model_dump_json()]
            )
            if written:
                return AssignmentRecord.model_validate_json(written)
        raise Overloaded(
            f"Devices changed {_NUM_TRIES} times while {request.holder} was being placed.",
            retry_after_seconds=1,
        )

    async def release(self, holder: str) -> bool:
        """False when the holder had none. The caller has made sure that its processes are gone."""
        return bool(await self._store.run(_RELEASE, _KEYS, [holder]))
