"""What users' editors reported of the characters that they and the models wrote.

A list for each user, small enough to be shown as it is. Statistics of days and teams are made of
counters (`store/counters.py`), not of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.cluster.records import Record, readable
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

KEPT_ROWS = 1000
KEPT_DAYS = 90
_KEPT_SECONDS = KEPT_DAYS * 24 * 3600

# KEYS: the user's rows. ARGV: row, ... A row that is there already stays as old as it is, so a
# report that is sent again adds nothing.
_ADD = f"""
local now = tonumber(redis.call('TIME')[1])
for _, row in ipairs(ARGV) do redis.call('ZADD', KEYS[1], 'NX', now, row) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. (now - {_KEPT_SECONDS}))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -{KEPT_ROWS + 1})
redis.call('EXPIRE', KEYS[1], {_KEPT_SECONDS})
return 1
"""


class WrittenRow(Record):
    """One row of a report: files of one kind, and one model ("" where none wrote).

    `report_id` and `number` tell equal rows apart. `model` is MODEL or MODEL:ADAPTER. The times are
    of the reporter's clock.
    """

    report_id: str
    number: int
    team_id: str = ""
    model: str = ""
    file_extension: str
    human_characters: int
    robot_characters: int
    num_completions: int
    client_version: str = ""
    started_at: int
    ended_at: int


@dataclass(frozen=True)
class ReportedRow:
    """`reported_at` in unix seconds, by the clock of Redis."""

    row: WrittenRow
    reported_at: float


class WrittenRows:
    """Raises StoreUnavailable while Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, user_id: str, rows: Sequence[WrittenRow]) -> None:
        """Beyond `KEPT_ROWS` the oldest ones go, and those from before `KEPT_DAYS`."""
        if rows:
            values = [row.model_dump_json() for row in rows]
            await self._store.run(_ADD, [Keys.WRITTEN_ROWS.format(user_id)], values)

    async def of_user(self, user_id: str) -> list[ReportedRow]:
        """Oldest first."""
        async with self._store.answering():
            found: Any = await self._store.redis.zrange(
                Keys.WRITTEN_ROWS.format(user_id), 0, -1, withscores=True
            )
        return [
            ReportedRow(row, reported_at)
            for value, reported_at in found
            for row in readable(WrittenRow, [value])
        ]
