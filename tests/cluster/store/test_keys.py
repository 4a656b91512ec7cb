"""Nothing in Redis grows for ever: each key is an entry of the table and is what that says."""

from __future__ import annotations

from collections.abc import Mapping

from services.cluster.identity import Identity
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobProgress
from services.cluster.leases import Leases
from services.cluster.projects import Projects
from services.cluster.records import ProcessRecord, ReplicaPhase, ReplicaRecord
from services.cluster.registry import Registry
from services.cluster.store.connection import Store
from services.cluster.store.keys import PREFIX, Bound, Key, Keys, KeyType
from tests.cluster.store.public_records import Made, Wanted, make

MUCH = Wanted(
    projects=[("one", ["a", "b", "c"]), ("two", ["a"]), ("three", [])],
    scans=3,
    ends=["succeed", "fail", "cancel", "run", "delay", "wait", "succeed"],
    texts=["x", "y", "z"],
    time=1.0,
)
# About so many: Redis cuts streams at the borders of its nodes, of 100 entries here.
MOST_STREAM_ENTRIES = 2200


def a_replica(number: int) -> ReplicaRecord:
    return ReplicaRecord(
        replica_id=f"r{number}",
        deployment_id="d",
        model="m",
        engine="echo",
        host_id="h",
        phase=ReplicaPhase.READY,
        started_at=1.0,
    )


def a_process(number: int) -> ProcessRecord:
    return ProcessRecord(process_id=f"p{number}", service="s", host_id="h", started_at=1.0)


async def live(store: Store) -> Made:
    """Everything that the cluster does, a little of each."""
    made = await make(store, MUCH)
    registry, leases, identity = Registry(store), Leases(store), Identity(store)
    for number in range(3):
        await registry.put_replica(a_replica(number))
        await registry.put_process(a_process(number))
        assert await leases.acquire(f"lease-{number}", "holder", 30)
    await registry.remove_replica("r2")
    await identity.redeem_sign_in(await identity.create_sign_in_link())
    await identity.create_sign_in_link()
    return made


async def keyspace(store: Store) -> dict[str, Key]:
    """Every key with its entry."""
    found = {}
    async for name in store.redis.scan_iter():
        entry = Keys.find(name)
        assert entry is not None, f"{name} is in no table"
        found[name] = entry
    return found


async def check(store: Store, found: Mapping[str, Key]) -> None:
    for name, entry in found.items():
        assert await store.redis.type(name) == entry.type, name
        lives = await store.redis.ttl(name)
        if entry.bound is Bound.EXPIRES:
            assert lives > 0, name
        elif entry.type is not KeyType.STREAM:
            assert lives == -1, name
        if entry.type is KeyType.STREAM:
            assert await store.redis.xlen(name) <= MOST_STREAM_ENTRIES, name


def test_no_two_entries_mean_the_same_key() -> None:
    patterns = [str(key) for _, key in Keys.all()]
    assert len(patterns) == len(set(patterns))
    for pattern in patterns:
        name = pattern.format("id:with/any {thing}")
        assert Keys.find(name) == pattern
        assert pattern.startswith(PREFIX)
        assert pattern.count("{}") <= 1
        assert pattern.removesuffix(":{}").count(":") == 1  # by which `find` knows the family


def test_another_name_is_in_no_entry() -> None:
    for name in ("hearth:nothing", "other", "hearth:job", "hearth:users:x", "hearth:"):
        assert Keys.find(name) is None


def test_what_is_exported_can_be() -> None:
    exported = [key for _, key in Keys.all() if key.exported]
    assert {key.type for key in exported} <= {KeyType.STRING, KeyType.HASH, KeyType.ZSET}
    assert all(key.type is not KeyType.STREAM for key in exported)
    assert not {key for _, key in Keys.all() if key.bound is Bound.SEEN} & set(exported)


def test_streams_are_trimmed() -> None:
    for name, key in Keys.all():
        assert (key.type is KeyType.STREAM) is (key.bound is Bound.TRIMMED), name


async def test_every_key_is_an_entry_and_what_it_says(store: Store) -> None:
    await live(store)
    found = await keyspace(store)
    assert len(found) > 60
    await check(store, found)


async def test_streams_stay_short(store: Store) -> None:
    queue, registry = JobQueue(store), Registry(store)
    await queue.enqueue(JobKind.RUN, {})
    claimed = await queue.claim(JobKind.RUN, "h")
    assert claimed
    for number in range(2500):
        await queue.heartbeat(claimed, JobProgress(num_done=number))
        await registry.put_replica(a_replica(0).model_copy(update={"num_running": number}))
    for number in range(1500):
        await queue.enqueue(JobKind.SCAN, {"n": number})
    assert await store.redis.xlen(Keys.CHANGES) > 900
    await check(store, await keyspace(store))


async def test_what_is_deleted_leaves_nothing(store: Store) -> None:
    made = await live(store)
    registry = Registry(store)
    await _end_all(store, made)
    for project_id in made.project_ids:
        await Projects(store).delete(project_id)
    view = await registry.view()
    for deployment_id in view.deployments:
        await registry.delete_deployment(deployment_id)
    for adapter_id in view.adapters:
        await registry.delete_adapter(adapter_id)
    for name in view.models:
        await registry.delete_model(name)
    for replica_id in view.replicas:
        await registry.remove_replica(replica_id)
    for process_id in view.processes:
        await registry.remove_process(process_id)
    for token in await Identity(store).list_tokens():
        await Identity(store).revoke_token(token.token_id)
    left = await keyspace(store)
    await check(store, left)
    records = {entry for entry in left.values() if entry.bound in (Bound.RECORDS, Bound.SEEN)}
    assert records == {Keys.USERS, Keys.CAPS_DIGESTS}  # the administrator; the one toolbox
    assert await store.redis.hkeys(Keys.CAPS_DIGESTS) == ["toolbox/toolbox"]


async def _end_all(store: Store, made: Made) -> None:
    queue = JobQueue(store)
    for job_id in made.job_ids:
        job = await queue.get(job_id)
        if job.status == "running":
            await queue.succeed(job, {})
        elif job.status == "queued":
            await queue.cancel(job_id)
        await queue.forget(job_id)
