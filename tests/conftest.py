"""What every test may use: a real Redis, and settings that point at a folder of the test's own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from services.cluster import redis_server
from services.cluster.errors import StoreUnavailable
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command, url = redis_server.prepare(tmp_path_factory.mktemp("redis"))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest_asyncio.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    """An empty store. The server may still be starting at the first test."""
    deadline = time.monotonic() + 10
    while True:
        try:
            store = await Store.connect(redis_url)
            break
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
    await store.redis.flushall()
    yield store
    await store.close()


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> ClusterSettings:
    return ClusterSettings(
        redis_url=redis_url, data_dir=tmp_path, cluster_key=SecretStr("test-key"), host_id="here"
    )
