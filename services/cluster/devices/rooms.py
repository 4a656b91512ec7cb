"""Requests that others make room: recorded for the agents of those who are asked."""

from __future__ import annotations

from collections.abc import Collection

from services.cluster.devices.index import PRELUDE
from services.cluster.devices.records import AssignmentRequest, DeviceSnapshot, RoomRequest
from services.cluster.devices.room import next_room
from services.cluster.records import readable
from services.cluster.store.connection import Store

ROOM_SECONDS = 30.0  # until a request that nobody renews is forgotten

# ARGV: asker, request or "" to withdraw it, seconds until it expires unless it is renewed.
_PUT = (
    PRELUDE
    + """
if ARGV[2] == '' then drop_room(ARGV[1]) return 1 end
redis.call('HSET', ROOMS, ARGV[1], ARGV[2])
redis.call('ZADD', ROOM_BEATS, now + tonumber(ARGV[3]), ARGV[1])
return 1
"""
)

# Every request for room that lives: renewed in time, or its asker has an assignment.
_LIVE = (
    PRELUDE
    + """
for _, asker in ipairs(redis.call('ZRANGEBYSCORE', ROOM_BEATS, '-inf', now)) do
  if redis.call('HEXISTS', HOLDERS, asker) == 0 then drop_room(asker) end
end
return redis.call('HVALS', ROOMS)
"""
)


class Rooms:
    """Every method raises StoreUnavailable while Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ask(
        self,
        snapshot: DeviceSnapshot,
        request: AssignmentRequest,
        yielding: Collection[str],
        seconds: float = ROOM_SECONDS,
    ) -> RoomRequest | None:
        """Asks holders of `yielding` to make room, or renews that; None when they could not.

        Call it again until `assign` succeeds. From then on it lasts until the asker releases.
        """
        before = next((r for r in await self.live() if r.asker == request.holder), None)
        holders = next_room(snapshot, request, yielding, before.holders if before else ())
        if holders is None:
            if before:
                await self.withdraw(request.holder)
            return None
        wanted = RoomRequest(
            asker=request.holder,
            num_devices=request.num_devices,
            device_bytes=request.device_bytes,
            holders=holders,
        )
        if holders:
            await self._store.run(_PUT, [], [request.holder, wanted.model_dump_json(), seconds])
        return wanted

    async def withdraw(self, asker: str) -> None:
        await self._store.run(_PUT, [], [asker, "", 0])

    async def live(self) -> list[RoomRequest]:
        """Those that were renewed in time, and those whose asker has got devices."""
        return readable(RoomRequest, await self._store.run(_LIVE, [], []))
