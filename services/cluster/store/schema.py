"""Which version of the key table Redis holds, and how an older one becomes this one.

The first process of a new version backs the records up and migrates them, alone; the others wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import redis.asyncio
from pydantic import BaseModel, ValidationError
from redis.exceptions import LockError, LockNotOwnedError

from services.cluster.errors import Unavailable
from services.cluster.store import records_file
from services.cluster.store.backoff import Backoff
from services.cluster.store.keys import SCHEMA_VERSION, Keys
from services.cluster.store.migrations import MIGRATIONS
from services.cluster.store.snapshot import read_snapshot
from services.cluster.tasks import end

log = logging.getLogger(__name__)

IMPORTING = "import"
BACKUPS = "backups"  # in the data volume
OLDEST = min(MIGRATIONS, default=SCHEMA_VERSION)
_LOCK_SECONDS = 30.0
_WAIT_SECONDS = 120.0  # for another process that migrates
LEAVE_SECONDS = 20.0  # an older process that was killed counts as alive for 15

# KEYS: schema, lock. ARGV: this version. Answers the version, and whether somebody changes it.
_LOOK = """
local locked = redis.call('EXISTS', KEYS[2])
if locked == 0 then redis.call('SET', KEYS[1], ARGV[1], 'NX') end
return {redis.call('GET', KEYS[1]) or '', locked}
"""

# KEYS: schema. ARGV: the version before, the version after.
_RAISE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""

# KEYS: processes, their beats. The records of those that were seen.
_ALIVE = """
local found = {}
local now = redis.call('TIME')[1]
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], now, '+inf')) do
  found[#found + 1] = redis.call('HGET', KEYS[1], id) or '{}'
end
return found
"""


class _Process(BaseModel):
    """What any version has said of a process."""

    service: str = "a process"
    host_id: str = "a host"
    version: str = "unknown"


async def is_ready(client: redis.asyncio.Redis) -> bool:
    """Whether Redis holds this schema, or nothing yet; False while somebody changes it.

    Raises Unavailable for records that this version can never read.
    """
    version, locked = await client.eval(_LOOK, 2, Keys.SCHEMA, Keys.SCHEMA_LOCK, SCHEMA_VERSION)
    if locked:
        return False
    if version == IMPORTING:
        raise Unavailable(
            "An import of records into this Redis was broken off, so a part of them is missing."
            " Run the import again with --replace."
        )
    return number(version) == SCHEMA_VERSION


def number(version: str) -> int:
    """Raises Unavailable when this Hearth can neither read nor migrate it."""
    found = int(version) if version.isdecimal() else 0
    if OLDEST <= found <= SCHEMA_VERSION:
        return found
    if found > SCHEMA_VERSION:
        advice = "Start the version of Hearth that wrote them, or a newer one."
    else:
        advice = f"Start the oldest Hearth that reads schema {OLDEST} first, then this one."
    raise Unavailable(
        f"Redis holds records of schema {version!r}; this Hearth reads schema {OLDEST} to"
        f" {SCHEMA_VERSION}. {advice}"
    )


async def make_ready(client: redis.asyncio.Redis, data_dir: Path | None) -> None:
    """Returns when Redis holds this schema: migrated here, or by another process.

    `data_dir` takes the backup; None where another process has to migrate. `client` waits long for
    an answer. Raises Unavailable when it cannot be done, and then nothing was changed or it is
    done again the next time.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    backoff = Backoff()
    while not await is_ready(client):
        if time.monotonic() > deadline:
            raise Unavailable(
                "The records in Redis are of an older schema, or are still being imported. Start"
                " this version of Hearth on its head host first, or wait for the end of the import."
            )
        if data_dir is not None:
            with contextlib.suppress(LockError):  # another process is faster
                async with alone(client):
                    await _back_up_and_migrate(client, data_dir)
                    continue
        await backoff.pause()


@asynccontextmanager
async def alone(client: redis.asyncio.Redis) -> AsyncIterator[None]:
    """No other process connects, migrates or imports during the block.

    Raises redis' LockError when another does already. Whoever was paused in it for long may have
    lost it; the steps of a migration look at the version themselves.
    """
    lock = client.lock(
        Keys.SCHEMA_LOCK, timeout=_LOCK_SECONDS, blocking=False, raise_on_release_error=False
    )

    async def keep() -> None:
        while True:
            await asyncio.sleep(_LOCK_SECONDS / 3)
            try:
                await lock.reacquire()
            except LockNotOwnedError:
                log.warning("the lock on the schema was lost while the process was paused")
                return

    async with lock:
        keeper = asyncio.create_task(keep(), name="schema-lock")
        try:
            yield
        finally:
            await end(keeper)


async def migrate(client: redis.asyncio.Redis, version: int) -> None:
    """From the version to this one. The caller is alone and has a backup."""
    for step in range(version, SCHEMA_VERSION):
        await MIGRATIONS[step](client)
        await client.eval(_RAISE, 1, Keys.SCHEMA, step, step + 1)
        log.warning("records were migrated", extra={"from_schema": step, "to_schema": step + 1})


async def alive(client: redis.asyncio.Redis) -> list[str]:
    """Processes that work with the records at this moment, in words."""
    found = []
    for text in await client.eval(_ALIVE, 2, Keys.PROCESSES, Keys.PROCESS_BEATS):
        try:
            process = _Process.model_validate_json(text)
        except ValidationError:
            process = _Process()
        found.append(f"{process.service} {process.version} on {process.host_id}")
    return sorted(found)


async def _back_up_and_migrate(client: redis.asyncio.Redis, data_dir: Path) -> None:
    version = number(str(await client.get(Keys.SCHEMA) or SCHEMA_VERSION))
    if version == SCHEMA_VERSION:
        return
    await until_left(client)
    try:
        place = await back_up(client, data_dir)
    except OSError as error:
        raise Unavailable(
            f"The records must be migrated, and a backup of them cannot be written to"
            f" {data_dir / BACKUPS}: {error.strerror}. Make room, or let Hearth write there."
        ) from error
    log.warning("records are migrated", extra={"backup": str(place), "from_schema": version})
    await migrate(client, version)


async def until_left(client: redis.asyncio.Redis, timeout_seconds: float = LEAVE_SECONDS) -> None:
    """Processes that still run would write what a migration or an import misses.

    Raises Unavailable when they do not end.
    """
    deadline = time.monotonic() + timeout_seconds
    backoff = Backoff()
    while running := await alive(client):
        if time.monotonic() > deadline:
            raise Unavailable(
                "The records in Redis are to be changed as a whole, and these processes still use"
                f" them: {', '.join(running)}. Stop Hearth on all hosts first."
            )
        await backoff.pause()


async def back_up(client: redis.asyncio.Redis, data_dir: Path) -> Path:
    """Named by schema and content, so that trying again and again fills no disk. Raises OSError."""
    snapshot = await read_snapshot(client)
    version = number(snapshot.schema)
    lines = list(records_file.lines(version, snapshot.contents))
    digest = hashlib.sha256(b"".join(lines[1:-1])).hexdigest()
    folder = data_dir / BACKUPS
    place = folder / f"records-schema-{version}-{digest[:12]}.jsonl"
    await asyncio.to_thread(_keep, place, lines)
    return place


def _keep(place: Path, lines: list[bytes]) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not place.exists():
        records_file.write(place, lines)
