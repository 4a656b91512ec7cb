"""Redis goes away under a registry that others follow: they go on by what they knew, and alone."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from services.cluster.errors import StoreUnavailable
from services.cluster.records import DeploymentRecord
from services.cluster.registry import SEEN_SECONDS, Registry
from services.cluster.registry_cache import RegistryCache
from services.cluster.store.connection import Store
from tests.faults.redis_process import RedisProcess

pytestmark = [pytest.mark.faults, pytest.mark.slow]

SEEN_AGAIN_SECONDS = 2.0
LONG_OUTAGE_SECONDS = 20.0  # longer than a record is seen without a beat


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    redis = RedisProcess(tmp_path)
    yield redis
    redis.kill()


@pytest_asyncio.fixture
async def own_store(redis: RedisProcess) -> AsyncIterator[Store]:
    store = await Store.connect(redis.url)
    yield store
    await store.close()


@asynccontextmanager
async def beating(url: str, replica_id: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = (sys.executable, "-m", "tests.faults.beating", url, replica_id)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout
        assert await process.stdout.readline() == b"up\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def following(registry: Registry) -> AsyncIterator[RegistryCache]:
    cache = RegistryCache(registry)
    await cache.start()
    try:
        yield cache
    finally:
        await cache.close()


class Watch:
    """Everything that a cache has shown."""

    def __init__(self, cache: RegistryCache) -> None:
        self._cache = cache
        self.missing: set[str] = set()
        self.caps_versions: list[int] = [cache.view.caps_version]

    async def run(self, wanted: set[str]) -> None:
        while True:
            self.missing |= wanted - self._cache.view.replicas.keys()
            self.caps_versions.append(self._cache.view.caps_version)
            await asyncio.sleep(0.02)


@contextmanager
def never_missing(cache: RegistryCache, wanted: set[str]) -> Iterator[None]:
    """All the time of the block, and the version that clients compare never falls."""
    watch = Watch(cache)
    task = asyncio.create_task(watch.run(wanted))
    try:
        yield
    finally:
        task.cancel()
    assert watch.missing == set()
    assert watch.caps_versions == sorted(watch.caps_versions)


async def until_answering(store: Store) -> float:
    await store.wait_ready(30)
    return time.monotonic()


async def until_seen(cache: RegistryCache, deployment_id: str) -> float:
    async with asyncio.timeout(30):
        while deployment_id not in cache.view.deployments:
            await cache.changed()
    return time.monotonic()


def a_deployment(deployment_id: str) -> DeploymentRecord:
    return DeploymentRecord(
        deployment_id=deployment_id, model=deployment_id, created_at=1.0, updated_at=1.0
    )


async def test_a_registry_outlives_kill_9_of_redis(redis: RedisProcess, own_store: Store) -> None:
    registry = Registry(own_store)
    await registry.put_deployment(a_deployment("d1"))
    async with AsyncExitStack() as stack:
        for replica_id in ("r1", "r2"):
            await stack.enter_async_context(beating(redis.url, replica_id))
        cache = await stack.enter_async_context(following(registry))
        with never_missing(cache, {"r1", "r2"}):
            for number in range(3):
                redis.kill()
                with pytest.raises(StoreUnavailable):
                    await registry.view()
                redis.start()
                answering_at = await until_answering(own_store)
                await registry.put_deployment(a_deployment(f"after-{number}"))
                seen_at = await until_seen(cache, f"after-{number}")
                assert seen_at - answering_at < SEEN_AGAIN_SECONDS
                assert (await cache.refresh()).replicas.keys() == {"r1", "r2"}
            assert cache.view.deployments.keys() >= {"d1", "after-0", "after-2"}


async def test_nobody_vanishes_because_nobody_could_renew(
    redis: RedisProcess, own_store: Store
) -> None:
    """But who died meanwhile does, as soon as all others have had the time to renew."""
    registry = Registry(own_store)
    sweeps = Registry(own_store)
    async with AsyncExitStack() as stack:
        for replica_id in ("r1", "r2"):
            await stack.enter_async_context(beating(redis.url, replica_id))
        dies = await stack.enter_async_context(beating(redis.url, "dies"))
        cache = await stack.enter_async_context(following(registry))
        with never_missing(cache, {"r1", "r2"}):
            await sweeps.sweep()
            redis.stop()
            dies.kill()
            await asyncio.sleep(LONG_OUTAGE_SECONDS)
            redis.wake()
            answering_at = await until_answering(own_store)
            assert await sweeps.sweep() == 0
            assert cache.view.replicas.keys() == {"r1", "r2", "dies"}
            assert (await cache.refresh()).replicas.keys() == {"r1", "r2", "dies"}
            await registry.put_deployment(a_deployment("after"))
            seen_at = await until_seen(cache, "after")
            assert seen_at - answering_at < SEEN_AGAIN_SECONDS
            async with asyncio.timeout(2 * SEEN_SECONDS):
                while "dies" in cache.view.replicas:
                    await cache.changed()
