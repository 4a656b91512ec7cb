from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings

from services.cluster.errors import BadRequest, Conflict, NotFound, Unavailable
from services.cluster.identity import Identity, Scope
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobRecord, JobStatus
from services.cluster.leases import Leases
from services.cluster.records import AdapterRecord, ReplicaPhase, ReplicaRecord
from services.cluster.registry import Registry
from services.cluster.store import records_file
from services.cluster.store.backup import export_records, import_records
from services.cluster.store.client import Client, patient_client
from services.cluster.store.connection import Store
from services.cluster.store.keys import SCHEMA_VERSION, Keys
from services.cluster.store.snapshot import KeyContent, read_snapshot, write_contents
from tests.cluster.store import golden_records, public_records

SOMETHING = public_records.Wanted(
    projects=[("web", ["a.zip", "b.zip"])],
    scans=1,
    ends=["succeed", "fail", "run", "wait"],
    texts=["x"],
    time=1.0,
)


SNIPPET = KeyContent("hearth:deployed", "string", ["x"])


@pytest_asyncio.fixture
async def client(store: Store, redis_url: str) -> AsyncIterator[Client]:
    async with patient_client(redis_url) as client:
        await client.set(Keys.SCHEMA, SCHEMA_VERSION)
        yield client
        await client.flushall()


async def exported(client: Client) -> io.BytesIO:
    lines, _ = await export_records(client)
    return io.BytesIO(b"".join(lines))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(wanted=public_records.WANTED)
async def test_what_was_exported_reads_the_same_when_it_is_imported(
    store: Store, client: Client, wanted: public_records.Wanted
) -> None:
    await client.flushall()
    await client.set(Keys.SCHEMA, SCHEMA_VERSION)
    made = await public_records.make(store, wanted)
    before = await public_records.read(store, made)
    file = await exported(client)
    await client.flushall()
    await import_records(client, file)
    after = await public_records.read(store, made)
    for job_id in made.running_ids:
        job: JobRecord = before["jobs"][job_id]
        queued = job.model_copy(update={"status": JobStatus.QUEUED})
        before["jobs"][job_id] = queued.model_copy(update={"due_at": after["jobs"][job_id].due_at})
    before.pop("known")
    known = after.pop("known")
    assert after == before
    assert {job.job_id for job in known if job} == {
        job_id for job_id in made.job_ids if job_id.startswith("run-")
    }


async def test_who_was_running_is_tried_again_and_goes_on(store: Store, client: Client) -> None:
    queue = JobQueue(store)
    job = await queue.enqueue(JobKind.RUN, {}, max_attempts=1)
    claimed = await queue.claim(JobKind.RUN, "before")
    assert claimed
    await queue.heartbeat(claimed, resume={"checkpoint_id": "c1"})
    file = await exported(client)
    await import_records(client, file, replace=True)
    again = await queue.claim(JobKind.RUN, "after")
    assert again
    assert (again.job_id, again.attempt) == (job.job_id, 2)
    assert again.resume == {"checkpoint_id": "c1"}
    # A holder that lived through it, and leases that it got after the export, are older.
    assert again.token > claimed.token + 1000


async def test_versions_and_tokens_never_go_back(store: Store, client: Client) -> None:
    registry, leases = Registry(store), Leases(store)
    await registry.put_adapter(an_adapter("a1"))
    file = await exported(client)
    await registry.put_adapter(an_adapter("a2"))
    lease = await leases.acquire("x", "h", 30)
    assert lease
    version = (await registry.view()).caps_version
    await import_records(client, file, replace=True)
    view = await registry.view()
    assert view.adapters.keys() == {"a1"}
    assert view.caps_version > version
    newer = await leases.acquire("x", "h", 30)
    assert newer
    assert newer.token > lease.token
    # What clients are offered is known again: to take it away raises the version.
    await registry.delete_adapter("a1")
    assert (await registry.view()).caps_version > view.caps_version


def an_adapter(adapter_id: str) -> AdapterRecord:
    return AdapterRecord(adapter_id=adapter_id, model="m", name="n", rank=8, created_at=1.0)


async def test_tokens_are_in_it_and_sessions_are_not(store: Store, client: Client) -> None:
    identity = Identity(store)
    text, _ = await identity.create_token("admin", "ide", frozenset({Scope.COMPLETIONS}))
    session_id, _ = await identity.redeem_sign_in(await identity.create_sign_in_link())
    await identity.create_sign_in_link()
    await Registry(store).put_replica(
        ReplicaRecord(
            replica_id="r",
            deployment_id="d",
            model="m",
            engine="echo",
            host_id="h",
            phase=ReplicaPhase.READY,
            started_at=1.0,
        )
    )
    written = (await exported(client)).getvalue()
    assert text.encode() not in written
    assert session_id.encode() not in written
    await import_records(client, io.BytesIO(written), replace=True)
    assert len(await identity.list_tokens()) == 1
    assert await identity.session(session_id) is None
    assert (await Registry(store).view()).replicas == {}
    assert await client.hkeys(Keys.CAPS_DIGESTS) == []


async def test_big_keys_odd_bytes_and_lives_are_kept(client: Client) -> None:
    many: dict[Any, Any] = {f"{number:05d}": str(number) for number in range(1234)}
    await client.hset(Keys.USERS, mapping=many)
    await client.zadd(Keys.SCANS_DUE, {f"p{n}": n / 3 for n in range(1001)})
    await client.execute_command("HSET", Keys.MODELS, b"\xff\xfe", b"\x00\x80")
    day = Keys.COUNTERS.format("usage/1")
    await client.hset(day, "f", "1")
    await client.expire(day, 1000)
    before = await read_snapshot(client)
    file = await exported(client)
    assert max(len(part.entries) for part in before.contents) == 500
    await client.flushall()
    await import_records(client, file)
    kept = {str(Keys.LEASE_TOKENS), str(Keys.CAPS_VERSION)}
    after = [part for part in (await read_snapshot(client)).contents if part.key not in kept]
    assert after == before.contents
    assert await client.zscore(Keys.SCANS_DUE, "p1") == 1 / 3
    assert 990 < await client.ttl(day) <= 1000


async def test_an_older_schema_is_imported_and_migrated(store: Store, client: Client) -> None:
    with golden_records.GOLDEN.open("rb") as file:
        await import_records(client, file)
    await golden_records.check(store)
    job = await JobQueue(store).get(golden_records.RUNNING)
    assert job.status is JobStatus.QUEUED


async def test_records_that_are_there_are_not_overwritten(store: Store, client: Client) -> None:
    made = await public_records.make(store, SOMETHING)
    file = await exported(client)
    before = await public_records.read(store, made)
    with pytest.raises(Conflict, match="or with --replace"):
        await import_records(client, file)
    assert await public_records.read(store, made) == before


async def test_replacing_leaves_nothing_of_before(store: Store, client: Client) -> None:
    file = await exported(client)
    await public_records.make(store, SOMETHING)
    await import_records(client, file, replace=True)
    kept = {str(key) for key in (Keys.SCHEMA, Keys.LEASE_TOKENS, Keys.CAPS_VERSION)}
    assert {key async for key in client.scan_iter()} == kept


async def test_nothing_is_imported_while_hearth_runs(store: Store, client: Client) -> None:
    file = await exported(client)
    await client.hset(Keys.PROCESSES, "p", '{"service": "gateway", "host_id": "here"}')
    await client.zadd(Keys.PROCESS_BEATS, {"p": time.time() + 60})
    with pytest.raises(Unavailable, match="gateway unknown on here"):
        await import_records(client, file, replace=True, leave_seconds=0.1)
    assert await client.exists(Keys.PROCESSES)


async def test_what_was_broken_off_is_refused_until_it_is_done_again(
    store: Store, client: Client, redis_url: str
) -> None:
    await public_records.make(store, SOMETHING)
    file = await exported(client)
    before = await read_snapshot(client)
    await client.flushall()
    await client.set(Keys.SCHEMA, "import")
    await write_contents(client, before.contents[:3])  # and then kill -9
    with pytest.raises(Unavailable, match="broken off"):
        await Store.connect(redis_url)
    with pytest.raises(Unavailable, match="this Hearth reads"):
        await export_records(client)
    with pytest.raises(Conflict):
        await import_records(client, file)
    await import_records(client, file, replace=True)
    await (await Store.connect(redis_url)).close()


async def test_an_empty_redis_is_no_backup(client: Client) -> None:
    await client.flushall()
    with pytest.raises(NotFound, match="HEARTH_REDIS_URL"):
        await export_records(client)


@pytest.mark.parametrize("schema", [0, SCHEMA_VERSION + 1])
async def test_other_schemas_are_refused(client: Client, schema: int) -> None:
    file = io.BytesIO(b"".join(records_file.lines(schema, [])))
    with pytest.raises(Unavailable, match=f"schema '{schema}'"):
        await import_records(client, file)


async def test_broken_files_are_refused_before_anything_is_changed(
    store: Store, client: Client, redis_url: str
) -> None:
    made = await public_records.make(store, SOMETHING)
    whole = (await exported(client)).getvalue()
    before = await public_records.read(store, made)
    for broken in (whole[:-1], whole[: len(whole) // 2], b"", b"{}\n", whole + b"{}\n"):
        with pytest.raises(BadRequest):
            await import_records(client, io.BytesIO(broken), replace=True)
    unknown = replace(SNIPPET, type="nothing")  # type: ignore[arg-type]
    nothing = records_file.lines(SCHEMA_VERSION, [unknown])
    with pytest.raises(BadRequest, match="no record"):
        await import_records(client, io.BytesIO(b"".join(nothing)), replace=True)
    foreign = records_file.lines(SCHEMA_VERSION, [replace(SNIPPET, key="other")])
    with pytest.raises(BadRequest, match="no key of Hearth"):
        await import_records(client, io.BytesIO(b"".join(foreign)), replace=True)
    assert await public_records.read(store, made) == before
    await (await Store.connect(redis_url)).close()
