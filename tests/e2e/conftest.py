"""One cluster for all end-to-end tests: starting vLLM takes most of a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.running import Cluster, start, stop, wait_until_started


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = start(tmp_path_factory.mktemp("data"))
    try:
        wait_until_started(cluster)
        yield cluster
    finally:
        left = stop(cluster)
    assert not left, f"processes outlived Ctrl-C: {left}"


@pytest.fixture
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for a test that breaks it, so that no other meets the gap."""
    cluster = start(tmp_path_factory.mktemp("data"))
    try:
        wait_until_started(cluster)
        yield cluster
    finally:
        stop(cluster)
