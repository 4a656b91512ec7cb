from __future__ import annotations

from typing import Any

from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from services.cluster.telemetry_records import KEPT_DAYS, KEPT_ROWS, WrittenRow, WrittenRows

KEY = Keys.WRITTEN_ROWS.format("u1")
DAY_SECONDS = 24 * 3600


def row(number: int, **changes: Any) -> WrittenRow:
    fields: dict[str, Any] = {
        "report_id": "r",
        "number": number,
        "file_extension": ".py",
        "human_characters": 3,
        "robot_characters": 4,
        "num_completions": 1,
        "started_at": 1,
        "ended_at": 2,
    }
    return WrittenRow(**{**fields, **changes})


async def numbers(store: Store, user_id: str = "u1") -> list[int]:
    return [reported.row.number for reported in await WrittenRows(store).of_user(user_id)]


async def test_rows_are_the_users_own_and_as_they_were_written(store: Store) -> None:
    rows, now = WrittenRows(store), await store.time()
    await rows.add("u1", [row(1), row(2, model="m")])
    await rows.add("u2", [])
    first, second = await rows.of_user("u1")
    assert (first.row, second.row) == (row(1), row(2, model="m"))
    assert now - 1 <= first.reported_at <= await store.time()
    assert await rows.of_user("u2") == []


async def test_a_report_that_is_sent_again_adds_nothing_and_stays_as_old(store: Store) -> None:
    rows = WrittenRows(store)
    await rows.add("u1", [row(1)])
    reported_at = await store.time() - DAY_SECONDS
    await store.redis.zadd(KEY, {row(1).model_dump_json(): reported_at})
    await rows.add("u1", [row(1)])
    (kept,) = await rows.of_user("u1")
    assert kept.reported_at < await store.time() - DAY_SECONDS / 2
    await rows.add("u1", [row(1, report_id="another")])
    assert await numbers(store) == [1, 1]


async def test_the_newest_rows_are_kept(store: Store) -> None:
    rows = WrittenRows(store)
    old = await store.time() - 10
    await store.redis.zadd(KEY, {row(n).model_dump_json(): old + n / 1e3 for n in range(KEPT_ROWS)})
    await rows.add("u1", [row(KEPT_ROWS), row(KEPT_ROWS + 1)])
    kept = await numbers(store)
    assert len(kept) == KEPT_ROWS
    assert kept[0] == 2
    assert set(kept[-2:]) == {KEPT_ROWS, KEPT_ROWS + 1}


async def test_old_rows_go_with_the_next_report_and_all_of_them_after_the_last(
    store: Store,
) -> None:
    rows, now = WrittenRows(store), await store.time()
    days = {KEPT_DAYS + 1: row(1), KEPT_DAYS - 1: row(2)}
    await store.redis.zadd(
        KEY, {row.model_dump_json(): now - day * DAY_SECONDS for day, row in days.items()}
    )
    await rows.add("u1", [row(3)])
    assert await numbers(store) == [2, 3]
    lives = await store.redis.ttl(KEY)
    assert (KEPT_DAYS - 1) * DAY_SECONDS < lives <= KEPT_DAYS * DAY_SECONDS


async def test_a_row_that_cannot_be_read_harms_no_other(store: Store) -> None:
    await store.redis.zadd(KEY, {'{"number": null}': 1.0})
    await WrittenRows(store).add("u1", [])
    await store.redis.zadd(KEY, {row(1).model_dump_json(): 2.0})
    assert await numbers(store) == [1]
