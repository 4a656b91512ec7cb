from __future__ import annotations

import pytest

from services.cluster.errors import LeaseLost
from services.cluster.leases import Leases
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys


async def expire(store: Store, name: str) -> None:
    await store.redis.hset(Keys.LEASE.format(name), "expires_at", "1")


async def test_one_holder_at_a_time(store: Store) -> None:
    leases = Leases(store)
    first = await leases.acquire("thing", "a", 30)
    assert first is not None
    assert await leases.acquire("thing", "b", 30) is None
    assert await leases.release(first)
    second = await leases.acquire("thing", "b", 30)
    assert second is not None
    assert second.token > first.token


async def test_an_expired_lease_may_be_renewed_while_nobody_took_it(store: Store) -> None:
    leases = Leases(store)
    lease = await leases.acquire("thing", "a", 30)
    assert lease is not None
    await expire(store, "thing")
    await leases.renew(lease)
    assert await leases.acquire("thing", "b", 30) is None


async def test_whoever_lost_a_lease_is_told_and_can_release_nothing(store: Store) -> None:
    leases = Leases(store)
    lost = await leases.acquire("thing", "a", 30)
    assert lost is not None
    await expire(store, "thing")
    taken = await leases.acquire("thing", "b", 30)
    assert taken is not None
    with pytest.raises(LeaseLost):
        await leases.renew(lost)
    assert not await leases.release(lost)
    await leases.renew(taken)
