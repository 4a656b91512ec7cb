"""What every test may use: a real Redis, and settings that point at a folder of the test's own.

And how tests are dealt out when several processes run them: file by file, all end-to-end tests to
the same one, since they share a cluster, and before everything else, since they take longest. What
runs beside them gives way, since it is timed how soon the engine answers.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from services.cluster import redis_server
from services.cluster.errors import StoreUnavailable
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store

END_TO_END = "tests/e2e/"
_POLITE = 5  # enough for the engine, and a Redis with two busy cores still answers in time
_GIVES_WAY = pytest.StashKey[bool]()


class OneCluster(LoadFileScheduling):
    """Files in the order of the collection, those of the end-to-end tests as if they were one."""

    def _split_scope(self, nodeid: str) -> str:
        return END_TO_END if nodeid.startswith(END_TO_END) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneCluster:
    config.option.loadscopereorder = False
    return OneCluster(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(END_TO_END))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before the first fixture, so that the processes of all of them are as polite."""
    config = item.config
    is_eager = hasattr(config, "workerinput") and _GIVES_WAY not in config.stash
    if is_eager and not item.nodeid.startswith(END_TO_END):
        config.stash[_GIVES_WAY] = True
        os.nice(_POLITE)


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
