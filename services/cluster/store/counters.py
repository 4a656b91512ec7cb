"""Numbers that only grow, summed in the process and written at most once a second.

A write costs an fsync (`appendfsync always`), so nobody writes one for each request.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import uuid
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from services.cluster.errors import StoreUnavailable
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from services.cluster.tasks import end

log = logging.getLogger(__name__)

OTHER = "(other)"
KEPT_DAYS = 400
MAX_FIELDS = 10_000  # of a name and a day in Redis
MAX_PENDING = 10_000  # different names and fields that wait in the process
_EVERY_SECONDS = 1.0
_SENDER_SECONDS = 7 * 24 * 3600

# KEYS: the counters of one day ("{}" for NAME/DAY), the sender's newest batch.
# ARGV: batch number, name, field, amount, ... A batch that is sent again adds nothing.
_ADD = f"""
local newest = tonumber(redis.call('GET', KEYS[2]) or '0')
if newest >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'EX', {_SENDER_SECONDS})
local day = math.floor(redis.call('TIME')[1] / 86400)
for i = 2, #ARGV, 3 do
  local id = ARGV[i] .. '/' .. day
  local key = string.gsub(KEYS[1], '{{}}', function() return id end)
  local field = ARGV[i + 1]
  if redis.call('HEXISTS', key, field) == 0 then
    local num_fields = redis.call('HLEN', key)
    if num_fields >= {MAX_FIELDS} then field = '{OTHER}' end
    redis.call('HINCRBY', key, field, ARGV[i + 2])
    if num_fields == 0 then redis.call('EXPIREAT', key, (day + 1 + {KEPT_DAYS}) * 86400) end
  else
    redis.call('HINCRBY', key, field, ARGV[i + 2])
  end
end
return 1
"""


@dataclass(frozen=True)
class _Batch:
    number: int
    sums: Counter[tuple[str, str]]

    @property
    def arguments(self) -> list[str | int | float]:
        triples = ((name, field, amount) for (name, field), amount in self.sums.items())
        return [self.number, *(part for triple in triples for part in triple)]


class Counters:
    """Of one process. `add` never waits, and never fails while Redis is away.

    Each amount is added once: a batch has a number, and Redis knows the newest of each process (for
    a week). It belongs to the UTC day on which Redis took it. Beyond `MAX_PENDING` different fields
    an outage drops new ones, which is logged and counted in `num_dropped`.
    """

    def __init__(self, store: Store, every_seconds: float = _EVERY_SECONDS) -> None:
        self.num_dropped = 0
        self._store = store
        self._every_seconds = every_seconds
        self._sender = Keys.COUNTER_SENDER.format(uuid.uuid4().hex)
        self._sums: Counter[tuple[str, str]] = Counter()
        self._batch: _Batch | None = None
        self._number = 0
        self._dropped_told = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Counters:
        self._task = asyncio.create_task(self._run(), name="counters")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Writes what is left, when Redis answers."""
        await end(self._task)
        try:
            await self.flush()
        except StoreUnavailable as refusal:
            batch = self._batch.sums if self._batch else Counter[tuple[str, str]]()
            lost = sum((batch + self._sums).values())
            log.warning("counts are lost", extra={"sum": lost, "reason": refusal.message})

    def add(self, name: str, field: str, amount: int = 1) -> None:
        """`name` is one of few; it must have no "/". `amount` is not negative."""
        key = (name, field)
        if key not in self._sums and len(self._sums) >= MAX_PENDING:
            self.num_dropped += amount
        else:
            self._sums[key] += amount

    async def flush(self) -> None:
        """Writes now. Raises StoreUnavailable; then nothing is lost and the next one writes it."""
        while self._batch or self._sums:
            if self._batch is None:
                self._number += 1
                self._batch, self._sums = _Batch(self._number, self._sums), Counter()
            await self._store.run(_ADD, [Keys.COUNTERS, self._sender], self._batch.arguments)
            self._batch = None

    async def _run(self) -> None:
        away = False
        while True:
            await asyncio.sleep(self._every_seconds)
            try:
                await self.flush()
            except StoreUnavailable as refusal:
                if not away:
                    log.warning("counts wait for Redis", extra={"reason": refusal.message})
                away = True
            except Exception:  # the loop's boundary: without it all later counts would be lost
                log.exception("counts were not written; they are tried again")
            else:
                away = False
            if self.num_dropped > self._dropped_told:
                dropped = self.num_dropped - self._dropped_told
                log.warning("too many different counts wait for Redis", extra={"dropped": dropped})
                self._dropped_told = self.num_dropped


async def counts_of_day(store: Store, name: str, day: datetime.date) -> dict[str, int]:
    """By field, of a UTC day; what found no room is under `OTHER`."""
    number = (day - datetime.date(1970, 1, 1)).days
    async with store.answering():
        found: Any = await store.redis.hgetall(Keys.COUNTERS.format(f"{name}/{number}"))
    return {field: int(amount) for field, amount in found.items()}
