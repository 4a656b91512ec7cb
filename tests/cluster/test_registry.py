from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from services.cluster.errors import LeaseLost, NotFound
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind
from services.cluster.records import (
    AdapterRecord,
    DeploymentRecord,
    ModelRecord,
    ReplicaPhase,
    ReplicaRecord,
)
from services.cluster.registry import SEEN_SECONDS, Registry
from services.cluster.registry_cache import Heartbeat, RegistryCache
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys


def a_replica(phase: ReplicaPhase = ReplicaPhase.READY, *adapters: str) -> ReplicaRecord:
    return ReplicaRecord(
        replica_id="r1",
        deployment_id="d1",
        model="m",
        engine="echo",
        host_id="here",
        phase=phase,
        loaded_adapter_ids=adapters,
        started_at=time.time(),
    )


def a_deployment(model: str = "m") -> DeploymentRecord:
    return DeploymentRecord(deployment_id="d1", model=model, created_at=1.0, updated_at=1.0)


async def test_what_is_put_is_seen_until_it_is_deleted(store: Store) -> None:
    registry = Registry(store)
    await registry.put_deployment(a_deployment())
    await registry.put_replica(a_replica())
    view = await registry.view()
    assert view.deployments["d1"] == a_deployment()
    assert view.replicas["r1"].phase is ReplicaPhase.READY
    assert await registry.delete_deployment("d1")
    assert not await registry.delete_deployment("d1")
    assert (await registry.view()).deployments == {}


async def test_caps_version_rises_only_when_what_clients_are_offered_changes(store: Store) -> None:
    registry = Registry(store)
    await registry.put_replica(a_replica(ReplicaPhase.STARTING))
    before = (await registry.view()).caps_version
    await registry.put_replica(a_replica(ReplicaPhase.READY))
    ready = (await registry.view()).caps_version
    assert ready > before
    await registry.put_replica(a_replica().model_copy(update={"num_running": 3}))
    assert (await registry.view()).caps_version == ready
    await registry.put_replica(a_replica(ReplicaPhase.READY, "a1"))
    loaded = (await registry.view()).caps_version
    assert loaded > ready
    await registry.put_adapter(
        AdapterRecord(adapter_id="a1", model="m", name="n", rank=8, created_at=1.0)
    )
    published = (await registry.view()).caps_version
    assert published > loaded
    await registry.remove_replica("r1")
    assert (await registry.view()).caps_version > published


async def test_a_replica_not_seen_for_long_disappears_and_is_swept(store: Store) -> None:
    times = [0.0, 5.0, 10.0, SEEN_SECONDS]
    registry = Registry(store, lambda: times[0])
    await registry.put_replica(a_replica())
    await store.redis.zadd(Keys.REPLICA_BEATS, {"r1": time.time() - 60})
    assert (await registry.view()).replicas == {}
    before = (await registry.view()).caps_version
    while len(times) > 1:
        assert await registry.sweep() == 0  # it has not seen for long that all could renew
        times.pop(0)
    assert await registry.sweep() == 1
    assert await store.redis.hlen(Keys.REPLICAS) == 0
    assert (await registry.view()).caps_version > before


async def test_watch_yields_at_once_and_after_each_change(store: Store) -> None:
    registry = Registry(store)
    views = registry.watch()
    assert (await anext(views)).deployments == {}
    await registry.put_deployment(a_deployment())
    assert "d1" in (await asyncio.wait_for(anext(views), 10)).deployments


async def test_the_cache_follows_and_wakes_who_waits(store: Store) -> None:
    registry = Registry(store)
    cache = RegistryCache(registry)
    await cache.start()
    try:
        waiting = asyncio.create_task(cache.changed())
        await asyncio.sleep(0)
        await registry.put_deployment(a_deployment())
        assert "d1" in (await asyncio.wait_for(waiting, 3)).deployments
        assert "d1" in cache.view.deployments
    finally:
        await cache.close()


async def test_a_heartbeat_puts_at_once_and_when_told(store: Store) -> None:
    num_put = 0
    again = asyncio.Event()

    async def put() -> None:
        nonlocal num_put
        num_put += 1
        if num_put > 1:
            again.set()

    async with Heartbeat(put, every_seconds=60) as heartbeat:
        assert num_put == 1
        heartbeat.beat()
        await asyncio.wait_for(again.wait(), 10)
    assert num_put == 2


async def test_changes_of_one_deployment_at_the_same_time_are_all_made(store: Store) -> None:
    registry = Registry(store)
    await registry.put_deployment(a_deployment())

    def one_more(record: DeploymentRecord) -> DeploymentRecord:
        return record.model_copy(update={"num_replicas": record.num_replicas + 1})

    await asyncio.gather(*(registry.change_deployment("d1", one_more) for _ in range(10)))
    assert (await registry.view()).deployments["d1"].num_replicas == 11
    await registry.delete_deployment("d1")
    with pytest.raises(NotFound):
        await registry.change_deployment("d1", one_more)


async def test_the_first_deployment_is_put_only_where_there_never_was_one(store: Store) -> None:
    registry = Registry(store)
    assert not await registry.delete_deployment("d1")
    assert await registry.put_first_deployment(a_deployment())
    assert not await registry.put_first_deployment(a_deployment("other/model"))
    await registry.delete_deployment("d1")
    assert not await registry.put_first_deployment(a_deployment())
    assert (await registry.view()).deployments == {}


async def test_a_model_is_added_only_where_there_is_none_of_its_name(store: Store) -> None:
    registry = Registry(store)
    first = ModelRecord(name="a/model", origin="upload")
    assert await registry.add_model(first)
    assert not await registry.add_model(first.model_copy(update={"origin": "catalogue"}))
    assert (await registry.view()).models == {"a/model": first}
    await registry.delete_model("a/model")
    assert await registry.add_model(first)


async def test_a_beat_without_a_change_raises_nothing_and_writes_no_record(store: Store) -> None:
    registry = Registry(store)
    await registry.put_replica(a := a_replica())
    await store.redis.zadd(Keys.REPLICA_BEATS, {"r1": 1})
    changes = await store.redis.xlen(Keys.CHANGES)
    size = await _written_bytes(store)
    await registry.put_replica(a)
    assert await _written_bytes(store) - size < len(a.model_dump_json()) / 2
    assert await store.redis.xlen(Keys.CHANGES) == changes
    assert "r1" in (await registry.view()).replicas
    await registry.put_replica(a.model_copy(update={"num_running": 1}))
    assert await store.redis.xlen(Keys.CHANGES) == changes + 1


async def _written_bytes(store: Store) -> int:
    return int((await store.redis.info("persistence"))["aof_current_size"])


async def test_a_write_that_redis_runs_twice_answers_the_same(store: Store) -> None:
    registry = Registry(RepeatingStore(store.redis))
    assert await registry.put_first_deployment(a_deployment())
    version = (await registry.view()).caps_version

    def one_more(record: DeploymentRecord) -> DeploymentRecord:
        return record.model_copy(update={"num_replicas": record.num_replicas + 1})

    assert (await registry.change_deployment("d1", one_more)).num_replicas == 2
    assert await registry.delete_deployment("d1")
    assert (await registry.view()).caps_version == version + 1
    assert not await registry.delete_deployment("d1")


class RepeatingStore(Store):
    """As if the first answer of each script had been lost."""

    async def run(self, source: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        await super().run(source, keys, args)
        return await super().run(source, keys, args)


async def test_a_holder_that_lost_its_job_publishes_no_adapter(store: Store) -> None:
    registry, jobs = Registry(store), JobQueue(store)
    await jobs.enqueue(JobKind.RUN, {})
    lost = await jobs.claim(JobKind.RUN, "w1")
    assert lost is not None
    adapter = AdapterRecord(adapter_id="a1", model="m", name="mine", rank=8, created_at=1.0)
    await registry.put_adapter(adapter, lost)
    await jobs.give_back(lost, "stopped")
    taken = await jobs.claim(JobKind.RUN, "w2")
    assert taken is not None
    late = adapter.model_copy(update={"better_than_base": True})
    with pytest.raises(LeaseLost):
        await registry.put_adapter(late, lost)
    assert (await registry.view()).adapters["a1"] == adapter
    await registry.put_adapter(late, taken)
    assert (await registry.view()).adapters["a1"] == late
