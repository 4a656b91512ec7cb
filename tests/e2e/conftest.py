"""One cluster for all end-to-end tests: starting vLLM takes most of a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.running import Cluster, start, stop, wait_until_started
from tests.inference.weights.hub_double import HubDouble, hub_double


@pytest.fixture(scope="session")
def hub() -> Iterator[HubDouble]:
    with hub_double() as hub:
        yield hub


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, hub: HubDouble) -> Iterator[Cluster]:
    cluster = start(
        tmp_path_factory.mktemp("data"), HEARTH_HUB_URL=hub.url, HEARTH_TRUSTED_PROXIES="127.0.0.1"
    )
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
