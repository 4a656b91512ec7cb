"""All records at one moment, read from Redis and written into it.

One script reads every key that is exported, so the snapshot is consistent: what one script of
Hearth writes together is in it together. Redis serves nobody else while it runs, about a second for
100 MiB of records. Never RDB, AOF or DUMP: those bind a backup to a version of Redis.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, TypeAlias

import redis.asyncio

from services.cluster.store.keys import PREFIX, Keys

_CHUNK_ENTRIES = 500

# ARGV: the families that are left out. Answers, of each other key: name, type, the unix time when
# it expires or -1, and its content. A key that the table does not know is of an
# older schema, and is read too. A stream tells of changes and is no record.
_READ = f"""
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local left_out = {{}}
for _, family in ipairs(ARGV) do left_out[family] = true end
local read = {{
  string = function(key) return {{redis.call('GET', key)}} end,
  hash = function(key) return redis.call('HGETALL', key) end,
  set = function(key) return redis.call('SMEMBERS', key) end,
  zset = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
}}
local found = {{}}
for _, key in ipairs(redis.call('KEYS', '{PREFIX}*')) do
  local name, id = string.match(key, '^({PREFIX}[^:]*)(:?)')
  local kind = redis.call('TYPE', key)['ok']
  if read[kind] and not left_out[name .. (id == ':' and ':{{}}' or '')] then
    local ttl = redis.call('PTTL', key)
    found[#found + 1] = {{key, kind, ttl < 0 and -1 or math.floor(now + ttl / 1000 + 0.5),
      read[kind](key)}}
  end
end
return {{redis.call('GET', '{Keys.SCHEMA}') or '', found}}
"""

_Type: TypeAlias = Literal["string", "hash", "set", "zset"]
# An entry of a hash is [field, value], of a sorted set [member, score].
Entry: TypeAlias = "str | list[str]"


@dataclass(frozen=True)
class KeyContent:
    """A key, or a part of a big one. `expires_at` is unix time, None for never."""

    key: str
    type: _Type
    entries: Sequence[Entry]
    expires_at: int | None = None


@dataclass(frozen=True)
class Snapshot:
    """`schema` as Redis has it: the version, or "" in a Redis that never held records."""

    schema: str
    contents: Sequence[KeyContent]


async def read_snapshot(client: redis.asyncio.Redis) -> Snapshot:
    """Every exported key, in parts of at most 500 entries, sorted."""
    left_out = [key for _, key in Keys.all() if not key.exported]
    answer: Any = await client.eval(_READ, 0, *left_out)
    schema, found = answer
    return Snapshot(schema, list(chain.from_iterable(_parts(*key) for key in sorted(found))))


async def write_contents(client: redis.asyncio.Redis, contents: Iterable[KeyContent]) -> None:
    """Adds to what is there; a second time changes nothing."""
    for content in contents:
        pipeline = client.pipeline(transaction=True)
        pipeline.execute_command(*_command(content))
        if content.expires_at is not None:
            pipeline.execute_command("EXPIREAT", content.key, content.expires_at)
        await pipeline.execute()


async def delete_all(client: redis.asyncio.Redis) -> None:
    """Every key of Hearth but the schema's version and the lock."""
    kept = {str(Keys.SCHEMA), str(Keys.SCHEMA_LOCK)}
    async for key in client.scan_iter(match=f"{PREFIX}*", count=1000):
        if key not in kept:
            await client.unlink(key)


def _parts(
    key: str, kind: Literal["string", "hash", "set", "zset"], expires_at: int, flat: list[Any]
) -> Iterator[KeyContent]:
    entries: list[Any] = flat
    if kind in ("hash", "zset"):
        entries = [[flat[i], flat[i + 1]] for i in range(0, len(flat), 2)]
    if kind in ("hash", "set"):
        entries.sort()  # the same records make the same file
    for start in range(0, len(entries), _CHUNK_ENTRIES):
        part = entries[start : start + _CHUNK_ENTRIES]
        yield KeyContent(key, kind, part, None if expires_at < 0 else expires_at)


def _command(content: KeyContent) -> list[str]:
    verbs = {"string": "SET", "hash": "HSET", "set": "SADD", "zset": "ZADD"}
    parts: list[str] = []
    for entry in content.entries:
        if isinstance(entry, str):
            parts.append(entry)
        else:  # ZADD takes the score before the member
            parts += reversed(entry) if content.type == "zset" else entry
    return [verbs[content.type], content.key, *parts]
