"""How records of an older schema become those of the next.

Each step is one script that does nothing unless Redis has its version: it may be run again after a
kill -9, or by two processes. The version itself rises after it, so a step that was broken off is
done again. Never change a step that was released; add the next one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import redis.asyncio

from services.cluster.store.keys import Keys

Migration: TypeAlias = "Callable[[redis.asyncio.Redis], Awaitable[None]]"

# Devices: what agents said is dropped, they say it again; no replica or trainer outlives the stop
# that an update is. Jobs: each knows its own idempotency key now, and those that ended are listed
# by their end. Names are written out: the table of keys goes on, this step does not.
_FROM_1 = """
if redis.call('GET', KEYS[1]) ~= '1' then return 0 end
redis.call('DEL', 'hearth:devices', 'hearth:assignments', 'hearth:devices-version')
local known = redis.call('HGETALL', 'hearth:job-idempotency')
for i = 1, #known, 2 do
  local job = 'hearth:job:' .. known[i + 1]
  if redis.call('EXISTS', job) == 1 then redis.call('HSET', job, 'idempotency', known[i])
  else redis.call('HDEL', 'hearth:job-idempotency', known[i]) end
end
for _, history in ipairs(redis.call('KEYS', 'hearth:job-history:*')) do
  local ended = 'hearth:job-ended:' .. string.sub(history, #'hearth:job-history:' + 1)
  for _, id in ipairs(redis.call('ZRANGE', history, 0, -1)) do
    local job = redis.call('HMGET', 'hearth:job:' .. id, 'status', 'finished_at')
    if job[1] == 'succeeded' or job[1] == 'failed' or job[1] == 'cancelled' then
      redis.call('ZADD', ended, job[2] or '0', id)
      redis.call('EXPIRE', 'hearth:job-events:' .. id, 86400)
    end
  end
end
-- Leases had no TTL. Their holders are gone, and the tokens of new ones are newer.
for _, lease in ipairs(redis.call('KEYS', 'hearth:lease:*')) do redis.call('DEL', lease) end
return 1
"""


async def _from_1(client: redis.asyncio.Redis) -> None:
    await client.eval(_FROM_1, 1, Keys.SCHEMA)


# From which version each leads to the next.
MIGRATIONS: Mapping[int, Migration] = {1: _from_1}
