"""What every keeper of leases must do. Another one is tested by one subclass with two methods."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from services.cluster.errors import LeaseLost
from services.cluster.leases import Lease, Leases


class LeasesContract(ABC):
    """Time passes by `expire`, not by waiting."""

    @abstractmethod
    async def open(self) -> Leases:
        """One without any lease."""

    @abstractmethod
    async def expire(self, name: str) -> None:
        """As if the lease had not been renewed for its whole length."""

    @pytest_asyncio.fixture
    async def leases(self, store: object) -> AsyncIterator[Leases]:
        self.store: Any = store
        yield await self.open()

    async def taken(self, leases: Leases, holder: str, name: str = "thing") -> Lease:
        lease = await leases.acquire(name, holder, 30)
        assert lease is not None
        return lease

    async def test_one_holder_at_a_time(self, leases: Leases) -> None:
        first = await self.taken(leases, "a")
        assert await leases.acquire("thing", "b", 30) is None
        assert await leases.release(first)
        second = await self.taken(leases, "b")
        assert second.token > first.token

    async def test_of_many_who_ask_at_once_one_gets_it(self, leases: Leases) -> None:
        asked = [leases.acquire("thing", f"h{number}", 30) for number in range(20)]
        assert len([lease for lease in await asyncio.gather(*asked) if lease]) == 1

    async def test_leases_of_other_names_are_free(self, leases: Leases) -> None:
        first = await self.taken(leases, "a", "one")
        second = await self.taken(leases, "b", "two")
        assert second.token > first.token

    async def test_an_expired_lease_may_be_renewed_while_nobody_took_it(
        self, leases: Leases
    ) -> None:
        lease = await self.taken(leases, "a")
        await self.expire("thing")
        await leases.renew(lease)
        assert await leases.acquire("thing", "b", 30) is None

    async def test_whoever_lost_a_lease_is_told_and_can_release_nothing(
        self, leases: Leases
    ) -> None:
        lost = await self.taken(leases, "a")
        await self.expire("thing")
        taken = await self.taken(leases, "b")
        with pytest.raises(LeaseLost):
            await leases.renew(lost)
        assert not await leases.release(lost)
        await leases.renew(taken)

    async def test_a_holder_that_starts_again_ends_its_own_earlier_lease(
        self, leases: Leases
    ) -> None:
        before = await self.taken(leases, "a")
        now = await self.taken(leases, "a")
        with pytest.raises(LeaseLost):
            await leases.renew(before)
        await leases.renew(now)

    async def test_a_released_lease_cannot_be_renewed_and_stays_released(
        self, leases: Leases
    ) -> None:
        lease = await self.taken(leases, "a")
        assert await leases.release(lease)
        assert await leases.release(lease)  # as a repetition whose answer was late
        with pytest.raises(LeaseLost):
            await leases.renew(lease)
        newer = await self.taken(leases, "b")
        assert not await leases.release(lease)
        await leases.renew(newer)
