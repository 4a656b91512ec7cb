"""Records out of Redis into a file, and back.

    python -m services.cluster.store.backup export FILE
    python -m services.cluster.store.backup import [--replace] FILE

`-` stands for standard output or input. A backup has what must outlive Redis: users, tokens (their
hashes), projects, sources, jobs, runs, deployments, adapters. It has no sessions, and nothing that
processes say again by themselves. The files of the data volume are not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import redis.asyncio
from redis.exceptions import LockError, RedisError

from services.cluster import data_volume, redis_server
from services.cluster.errors import Conflict, HearthError, NotFound
from services.cluster.settings import LocationSettings, load, own_redis_url
from services.cluster.store import records_file
from services.cluster.store.client import patient_client
from services.cluster.store.connection import START_SECONDS, Store
from services.cluster.store.keys import PREFIX, Keys
from services.cluster.store.refusals import refusal, unavailable
from services.cluster.store.schema import (
    IMPORTING,
    LEAVE_SECONDS,
    alone,
    migrate,
    number,
    until_left,
)
from services.cluster.store.snapshot import delete_all, read_snapshot, write_contents

_READ_SECONDS = 120.0  # a long append-only file is read back first
_SHORT_WAIT_SECONDS = 0.5

# Works on every schema that can be imported, before its migration. KEYS: delayed and running jobs
# ("{}" for the kind), job ("{}" for the id), lease tokens, caps version, caps digests.
# ARGV: lease tokens and caps version that were here before.
# Nobody holds a job that was running: it is queued again, and its next attempt goes on from what
# its last heartbeat said. Tokens and versions that somebody may remember stay older than new ones.
_REVIVE = """
local function key(pattern, id)
  return (string.gsub(pattern, '{}', function() return id end))
end
local t = redis.call('TIME')
local prefix = string.sub(KEYS[2], 1, -3)
for _, running in ipairs(redis.call('KEYS', prefix .. '*')) do
  local kind = string.sub(running, #prefix + 1)
  for _, id in ipairs(redis.call('ZRANGE', running, 0, -1)) do
    redis.call('HSET', key(KEYS[3], id), 'status', 'queued', 'due_at', t[1])
    redis.call('ZADD', key(KEYS[1], kind), 0, id)
  end
  redis.call('DEL', running)
end
local function atleast(name, other, more)
  local found = tonumber(redis.call('GET', name) or '0')
  redis.call('SET', name, string.format('%.0f', math.max(found, tonumber(other)) + more))
end
atleast(KEYS[4], ARGV[1], 1000000)
atleast(KEYS[5], math.max(tonumber(ARGV[2]), tonumber(t[1])), 1)
for _, field in ipairs(redis.call('HKEYS', KEYS[6])) do
  if string.find(field, 'replica/', 1, true) == 1 then redis.call('HDEL', KEYS[6], field) end
end
"""
_REVIVE_KEYS = [
    Keys.JOB_DELAYED,
    Keys.JOB_RUNNING,
    Keys.JOB,
    Keys.LEASE_TOKENS,
    Keys.CAPS_VERSION,
    Keys.CAPS_DIGESTS,
]


async def export_records(client: redis.asyncio.Redis) -> tuple[list[bytes], int]:
    """The lines of the file, and how many keys it has. Raises NotFound when there are none."""
    snapshot = await read_snapshot(client)
    if not snapshot.schema:
        raise NotFound("This Redis holds no records of Hearth; see HEARTH_REDIS_URL.")
    schema = number(snapshot.schema)
    num_keys = records_file.num_keys(snapshot.contents)
    return list(records_file.lines(schema, snapshot.contents)), num_keys


async def import_records(
    client: redis.asyncio.Redis,
    file: BinaryIO,
    *,
    replace: bool = False,
    leave_seconds: float = LEAVE_SECONDS,
) -> int:
    """Takes over a backup, of an older schema too; how many keys it had.

    Raises BadRequest for a file that is no whole backup, Unavailable for one of a newer schema or
    while Hearth runs, and Conflict when there are records and `replace` does not say to drop them.
    When it is broken off, no process starts on what is there until the import is done again.
    """
    header = await asyncio.to_thread(records_file.check, file)
    schema = number(str(header.schema))
    contents = list(records_file.contents(file))
    try:
        async with alone(client):
            await until_left(client, leave_seconds)
            if not replace and await _has_records(client):
                raise Conflict(
                    "Redis holds records already. Import into an empty one, or with --replace,"
                    " which deletes what is there."
                )
            tokens = await client.get(Keys.LEASE_TOKENS) or "0"
            caps_version = await client.get(Keys.CAPS_VERSION) or "0"
            await client.set(Keys.SCHEMA, IMPORTING)
            await delete_all(client)
            await write_contents(client, contents)
            await client.eval(
                _REVIVE, len(_REVIVE_KEYS), *_REVIVE_KEYS, str(tokens), str(caps_version)
            )
            await client.set(Keys.SCHEMA, schema)
            await migrate(client, schema)
    except LockError as error:
        raise Conflict("The records are migrated or imported already; wait for its end.") from error
    return records_file.num_keys(contents)


async def _has_records(client: redis.asyncio.Redis) -> bool:
    async for key in client.scan_iter(match=f"{PREFIX}*", count=1000):
        if key not in (Keys.SCHEMA, Keys.SCHEMA_LOCK):
            return True
    return await client.get(Keys.SCHEMA) == IMPORTING


@contextlib.contextmanager
def _redis(settings: LocationSettings) -> Iterator[tuple[str, float]]:
    """The URL of the settings' Redis or of the data volume's own, and how long to wait for it.

    The own one runs as long as Hearth does; else it is started for the block.
    """
    data_dir = settings.data_dir.resolve()
    if settings.redis_url:
        yield settings.redis_url, START_SECONDS
    elif asyncio.run(_answers(own_redis_url(data_dir))):
        yield own_redis_url(data_dir), START_SECONDS
    else:
        with data_volume.without_launcher(data_dir), redis_server.running(data_dir) as url:
            yield url, _READ_SECONDS


async def _answers(url: str) -> bool:
    client = patient_client(url)
    store = Store(client)
    try:
        await store.wait_ready(_SHORT_WAIT_SECONDS)
    except HearthError:
        return False
    finally:
        await store.close()
    return True


async def _export(url: str, wait_seconds: float, place: str) -> None:
    async with patient_client(url) as client:
        await Store(client).wait_ready(wait_seconds)
        lines, num_keys = await export_records(client)
    if place == "-":
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
    else:
        records_file.write(Path(place), lines)
    print(f"{num_keys} keys were exported.", file=sys.stderr)  # noqa: T201


async def _import(url: str, wait_seconds: float, file: BinaryIO, replace: bool) -> None:
    async with patient_client(url) as client:
        await Store(client).wait_ready(wait_seconds)
        num_keys = await import_records(client, file, replace=replace)
    print(f"{num_keys} keys were imported.", file=sys.stderr)  # noqa: T201


@contextlib.contextmanager
def _opened(place: str) -> Iterator[BinaryIO]:
    """The file is read twice, so standard input is kept in one."""
    if place != "-":
        with Path(place).open("rb") as named:
            yield named
        return
    with tempfile.TemporaryFile() as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        yield kept


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m services.cluster.store.backup")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("export", help="records into a file").add_argument("file")
    importing = commands.add_parser("import", help="records out of a file")
    importing.add_argument("file")
    importing.add_argument(
        "--replace", action="store_true", help="delete the records that are there"
    )
    arguments = parser.parse_args()
    settings = load(LocationSettings)
    try:
        with _redis(settings) as (url, wait_seconds):
            if arguments.command == "export":
                asyncio.run(_export(url, wait_seconds, arguments.file))
            else:
                with _opened(arguments.file) as file:
                    asyncio.run(_import(url, wait_seconds, file, arguments.replace))
    except HearthError as error:
        reason = error.message
    except RedisError as error:
        found = refusal(error)
        if found is None:
            raise
        reason = unavailable(found, error).message
    except OSError as error:
        reason = f"{arguments.file}: {error.strerror} ({error.filename or 'no file'})."
    else:
        return 0
    print(reason, file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
