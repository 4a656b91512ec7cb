"""Watching a cluster from outside: what its gateway counts, and what comes true after a while."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.running import Cluster


def measured(cluster: Cluster, name: str, **labels: str) -> float:
    """The value of one of the gateway's samples, 0 before the first time it was counted."""
    text = httpx.get(f"{cluster.url}/metrics").text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    )


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds:.0f} s"
        time.sleep(0.05)
