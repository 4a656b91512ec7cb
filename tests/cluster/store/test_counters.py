from __future__ import annotations

import asyncio
import datetime
from collections.abc import Sequence
from typing import Any

import pytest

from services.cluster.errors import StoreUnavailable
from services.cluster.store import counters
from services.cluster.store.connection import Store
from services.cluster.store.counters import Counters, counts_of_day
from services.cluster.store.keys import Keys


async def today(store: Store) -> datetime.date:
    seconds, _ = await store.redis.time()
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date()


class LateStore(Store):
    """Its answers are lost, after Redis has run the script, while `is_late`."""

    is_late = True

    async def run(self, source: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        answer = await super().run(source, keys, args)
        if self.is_late:
            raise StoreUnavailable("The answer was late.", retry_after_seconds=2)
        return answer


async def test_a_second_of_counts_is_one_write(store: Store) -> None:
    async with Counters(store, every_seconds=60) as counts:
        for number in range(10_000):
            counts.add("usage", f"user-{number % 10}", 3)
        counts.add("other", "x")
        before = await num_writes(store)
    assert await num_writes(store) - before <= 2  # the script, and loading it
    day = await today(store)
    found = await counts_of_day(store, "usage", day)
    assert found == {f"user-{n}": 3000 for n in range(10)}
    assert await counts_of_day(store, "other", day) == {"x": 1}
    assert await counts_of_day(store, "usage", day - datetime.timedelta(1)) == {}


async def num_writes(store: Store) -> int:
    stats = await store.redis.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))


async def test_it_writes_by_itself(store: Store) -> None:
    async with Counters(store, every_seconds=0.02) as counts:
        counts.add("usage", "f")
        async with asyncio.timeout(5):
            while not await counts_of_day(store, "usage", await today(store)):
                await asyncio.sleep(0.01)


async def test_an_answer_that_is_lost_adds_nothing_twice(store: Store) -> None:
    late = LateStore(store.redis)
    counts = Counters(late)
    counts.add("usage", "f", 5)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await counts.flush()
        counts.add("usage", "f", 1)
    late.is_late = False
    await counts.flush()
    assert await counts_of_day(store, "usage", await today(store)) == {"f": 8}


async def test_what_waits_is_bounded_and_what_is_dropped_is_told(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    counts = Counters(store, every_seconds=0.01)
    for number in range(counters.MAX_PENDING + 7):
        counts.add("usage", str(number), 2)
    counts.add("usage", "0", 2)  # has its place
    assert counts.num_dropped == 14
    async with counts, asyncio.timeout(5):
        while "different counts" not in caplog.text:
            await asyncio.sleep(0.01)
    found = await counts_of_day(store, "usage", await today(store))
    assert len(found) == counters.MAX_PENDING
    assert found["0"] == 4


async def test_a_day_has_so_many_fields_and_its_end(store: Store) -> None:
    counts = Counters(store)
    for part in range(2):
        for number in range(counters.MAX_FIELDS):
            counts.add("usage", f"{part}-{number}")
        await counts.flush()
    found = await counts_of_day(store, "usage", await today(store))
    assert len(found) == counters.MAX_FIELDS + 1
    assert found[counters.OTHER] == counters.MAX_FIELDS
    keys = [key async for key in store.redis.scan_iter(Keys.COUNTERS.format("*"))]
    assert len(keys) == 1
    days = await store.redis.ttl(keys[0]) / 86400
    assert counters.KEPT_DAYS <= days <= counters.KEPT_DAYS + 1


async def test_what_is_lost_at_the_end_is_told(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async with Counters(LateStore(store.redis), every_seconds=60) as counts:
        counts.add("usage", "f", 5)
    assert "counts are lost" in caplog.text
