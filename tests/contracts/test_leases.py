"""The leases in Redis do what leases must do."""

from __future__ import annotations

from services.cluster.leases import Leases
from services.cluster.store.keys import Keys
from tests.contracts.leases import LeasesContract


class TestRedisLeases(LeasesContract):
    async def open(self) -> Leases:
        return Leases(self.store)

    async def expire(self, name: str) -> None:
        await self.store.redis.hset(Keys.LEASE.format(name), "expires_at", "1")

    async def test_a_lease_that_nobody_renews_is_forgotten_in_the_end(self, leases: Leases) -> None:
        lease = await self.taken(leases, "a")
        ttl_seconds = await self.store.redis.ttl(Keys.LEASE.format("thing"))
        assert lease.ttl_seconds < ttl_seconds <= lease.ttl_seconds * 100
