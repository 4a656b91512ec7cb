"""An older data volume is migrated while the processes that do it, and Redis, are killed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cluster import redis_server
from services.cluster.errors import Unavailable
from services.cluster.store import records_file
from services.cluster.store.client import patient_client
from services.cluster.store.connection import Store
from services.cluster.store.keys import SCHEMA_VERSION, Keys
from services.cluster.store.schema import BACKUPS
from services.cluster.store.snapshot import Snapshot, read_snapshot
from tests.cluster.store import golden_records
from tests.faults.redis_process import RedisProcess

pytestmark = [pytest.mark.faults, pytest.mark.slow]

NUM_KILLED = 12
PATIENCE_SECONDS = 120.0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    redis = RedisProcess(tmp_path)
    yield redis
    redis.kill()


async def loaded(url: str) -> Snapshot:
    async with patient_client(url) as client:
        await Store(client).wait_ready(10)
        await golden_records.load(client)
        return await read_snapshot(client)


async def starting(url: str, data_dir: Path) -> asyncio.subprocess.Process:
    """A process that is about to connect."""
    command = (sys.executable, "-m", "tests.faults.starting", url, str(data_dir))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    assert await process.stdout.readline() == b"begins\n"
    return process


async def schema_of(url: str) -> str:
    async with patient_client(url) as client:
        return str(await client.get(Keys.SCHEMA))


async def check(url: str, data_dir: Path, before: Snapshot) -> None:
    """Today's classes read all of it, and so does who needs the backup."""
    store = await Store.connect(url)
    await golden_records.check(store)
    await store.close()
    places = list((data_dir / BACKUPS).glob("*.jsonl"))
    assert len(places) == 1
    with places[0].open("rb") as file:
        records_file.check(file)
        assert list(records_file.contents(file)) == before.contents


async def kill(process: asyncio.subprocess.Process) -> None:
    """Unless it has ended in this very moment."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def migration_seconds(redis: RedisProcess, data_dir: Path) -> float:
    """From the moment that a process connects; how long one takes that nobody disturbs."""
    process = await starting(redis.url, data_dir)
    begun = time.monotonic()
    assert await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) == 0
    return time.monotonic() - begun


async def loaded_again(url: str) -> Snapshot:
    async with patient_client(url) as client:
        await client.flushall()
    return await loaded(url)


async def test_kill_9_of_who_migrates(redis: RedisProcess, tmp_path: Path) -> None:
    await loaded(redis.url)
    longest = await migration_seconds(redis, tmp_path)
    shutil.rmtree(tmp_path / BACKUPS)
    before = await loaded_again(redis.url)
    chance = random.Random(1)
    for _ in range(NUM_KILLED):
        process = await starting(redis.url, tmp_path)
        await asyncio.sleep(chance.uniform(0, longest))
        await kill(process)
        if await schema_of(redis.url) == str(SCHEMA_VERSION):
            await check(redis.url, tmp_path, before)
            before = await loaded_again(redis.url)
        async with patient_client(redis.url) as client:
            await client.delete(Keys.SCHEMA_LOCK)  # in place of the wait for its end
    last = await starting(redis.url, tmp_path)
    assert await asyncio.wait_for(last.wait(), PATIENCE_SECONDS) == 0
    await check(redis.url, tmp_path, before)


async def test_a_lock_of_the_dead_ends_by_itself(redis: RedisProcess, tmp_path: Path) -> None:
    before = await loaded(redis.url)
    async with patient_client(redis.url) as client:
        await client.set(Keys.SCHEMA_LOCK, "of a killed process", px=2000)
    many = [await starting(redis.url, tmp_path) for _ in range(4)]
    for process in many:
        assert await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) == 0
    await check(redis.url, tmp_path, before)


async def test_kill_9_of_redis_under_who_migrates(redis: RedisProcess, tmp_path: Path) -> None:
    await loaded(redis.url)
    longest = await migration_seconds(redis, tmp_path)
    shutil.rmtree(tmp_path / BACKUPS)
    before = await loaded_again(redis.url)
    chance = random.Random(2)
    for _ in range(4):
        process = await starting(redis.url, tmp_path)
        await asyncio.sleep(chance.uniform(0, longest))
        redis.kill()
        redis.start()
        await kill(process)
        async with patient_client(redis.url) as client:
            await Store(client).wait_ready(10)
    last = await starting(redis.url, tmp_path)
    assert await asyncio.wait_for(last.wait(), PATIENCE_SECONDS) == 0
    await check(redis.url, tmp_path, before)


async def test_a_newer_volume_is_refused(redis: RedisProcess, tmp_path: Path) -> None:
    await loaded(redis.url)
    async with patient_client(redis.url) as client:
        await client.set(Keys.SCHEMA, SCHEMA_VERSION + 1)
    with pytest.raises(Unavailable, match="or a newer one"):
        await Store.connect(redis.url, data_dir=tmp_path)
    assert not (tmp_path / BACKUPS).exists()
    redis.kill()
    (tmp_path / "redis" / "VERSION").write_text("99.1.0\n")
    with pytest.raises(Unavailable, match=r"written by Redis 99\.1\.0"):
        redis_server.prepare(tmp_path)
