from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.cluster.errors import Unavailable
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind
from services.cluster.records import ProcessRecord
from services.cluster.registry import Registry
from services.cluster.store import records_file
from services.cluster.store.client import Client, patient_client
from services.cluster.store.connection import Store
from services.cluster.store.keys import SCHEMA_VERSION, Keys
from services.cluster.store.migrations import MIGRATIONS
from services.cluster.store.schema import BACKUPS, alone, back_up, migrate, until_left
from services.cluster.store.snapshot import read_snapshot
from tests.cluster.store import golden_records


@pytest_asyncio.fixture
async def client(store: Store, redis_url: str) -> AsyncIterator[Client]:
    async with patient_client(redis_url) as client:
        yield client
        await client.flushall()


async def connected(redis_url: str, data_dir: Path | None = None) -> None:
    await (await Store.connect(redis_url, data_dir=data_dir)).close()


async def test_every_older_schema_has_its_step() -> None:
    assert sorted(MIGRATIONS) == list(range(min(MIGRATIONS), SCHEMA_VERSION))


async def test_an_empty_redis_gets_this_schema(client: Client, redis_url: str) -> None:
    await connected(redis_url)
    assert await client.get(Keys.SCHEMA) == str(SCHEMA_VERSION)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (str(SCHEMA_VERSION + 1), "Start the version of Hearth that wrote them, or a newer one"),
        ("0", "Start the oldest Hearth that reads schema 1 first"),
        ("something", "this Hearth reads schema"),
        ("import", "Run the import again with --replace"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_a_line(
    client: Client, redis_url: str, tmp_path: Path, schema: str, words: str
) -> None:
    await client.set(Keys.SCHEMA, schema)
    with pytest.raises(Unavailable, match=words) as error:
        await connected(redis_url, tmp_path)
    assert "\n" not in error.value.message
    assert await client.get(Keys.SCHEMA) == schema
    assert list(tmp_path.iterdir()) == []


async def test_nothing_of_schema_1_is_lost(client: Client, redis_url: str, tmp_path: Path) -> None:
    await golden_records.load(client)
    before = await read_snapshot(client)
    await connected(redis_url, tmp_path)
    store = await Store.connect(redis_url)
    await golden_records.check(store)
    await store.close()
    (backup,) = (tmp_path / BACKUPS).iterdir()
    with backup.open("rb") as file:
        assert records_file.check(file).schema == 1
        assert list(records_file.contents(file)) == before.contents
    for key in ("hearth:devices", "hearth:assignments", "hearth:lease:project/p1"):
        assert not await client.exists(key)


async def test_jobs_of_schema_1_end_and_are_forgotten_like_others(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    await golden_records.load(client)
    await client.xadd(Keys.JOB_EVENTS.format(golden_records.RUN), {"event": "succeeded"})
    await connected(redis_url, tmp_path)
    ended = await client.zrange(Keys.JOB_ENDED.format("run"), 0, -1)
    assert set(ended) == {golden_records.RUN, golden_records.FAILED}
    assert 0 < await client.ttl(Keys.JOB_EVENTS.format(golden_records.RUN)) <= 86400
    job = Keys.JOB.format(golden_records.RUN)
    assert await client.hget(job, "idempotency") == "run/run/1"


async def test_many_that_start_together_migrate_once(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    await golden_records.load(client)
    await asyncio.gather(
        *(connected(redis_url, tmp_path if number % 2 else None) for number in range(8))
    )
    assert await client.get(Keys.SCHEMA) == str(SCHEMA_VERSION)
    assert len(list((tmp_path / BACKUPS).iterdir())) == 1
    assert not await client.exists(Keys.SCHEMA_LOCK)


async def test_a_migration_that_was_broken_off_is_done_again(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    await golden_records.load(client)
    await back_up(client, tmp_path)
    await MIGRATIONS[1](client)  # and then kill -9, before the version rises
    await connected(redis_url, tmp_path)
    store = await Store.connect(redis_url)
    await golden_records.check(store)
    await store.close()


async def test_a_step_that_comes_late_changes_nothing(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    """Of a process that was paused in it for longer than its lock lives."""
    await golden_records.load(client)
    await connected(redis_url, tmp_path)
    await client.hset(Keys.LEASE.format("new"), "holder", "somebody")
    before = await read_snapshot(client)
    await migrate(client, 1)
    assert await read_snapshot(client) == before
    assert await client.exists(Keys.LEASE.format("new"))


async def test_without_a_backup_nothing_is_changed(
    client: Client, redis_url: str, tmp_path: Path
) -> None:
    await golden_records.load(client)
    no_folder = tmp_path / "file"
    no_folder.touch()
    before = await read_snapshot(client)
    with pytest.raises(Unavailable, match="backup of them cannot be written"):
        await connected(redis_url, no_folder)
    assert await read_snapshot(client) == before
    assert not await client.exists(Keys.SCHEMA_LOCK)


async def test_the_same_backup_is_written_once(client: Client, tmp_path: Path) -> None:
    await golden_records.load(client)
    place = await back_up(client, tmp_path)
    assert await back_up(client, tmp_path) == place
    await client.hset(Keys.USERS, "u", "{}")
    assert await back_up(client, tmp_path) != place
    assert place.stat().st_mode & 0o777 == 0o600


async def test_it_waits_until_older_processes_have_left(
    client: Client, store: Store, redis_url: str, tmp_path: Path
) -> None:
    await golden_records.load(client)
    await Registry(store).put_process(
        ProcessRecord(
            process_id="p", service="gateway", host_id="here", version="0.0.9", started_at=1.0
        )
    )
    with pytest.raises(Unavailable, match=r"still use them: gateway 0\.0\.9 on here\. Stop"):
        await until_left(client, 0.1)
    await client.zadd(Keys.PROCESS_BEATS, {"p": time.time() + 1})
    begun = time.monotonic()
    await connected(redis_url, tmp_path)
    assert time.monotonic() - begun > 0.5
    assert await client.get(Keys.SCHEMA) == str(SCHEMA_VERSION)


async def test_nobody_connects_while_records_are_changed(client: Client, redis_url: str) -> None:
    async with alone(client):
        connecting = asyncio.create_task(Store.connect(redis_url))
        await asyncio.sleep(0.5)
        assert not connecting.done()
    store = await connecting
    assert await JobQueue(store).known(JobKind.RUN, "x") is None
    await store.close()
