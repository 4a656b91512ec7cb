"""kill -9 of a replica while it streams."""

from __future__ import annotations

import json

import psutil
import pytest

from tests.e2e.running import Cluster, wait_until_ready

pytestmark = pytest.mark.faults


def replica_of(cluster: Cluster) -> psutil.Process:
    return next(p for p in cluster.processes() if "services.inference.replica" in p.cmdline())


def test_the_stream_ends_with_an_error_and_the_replica_comes_back(own_cluster: Cluster) -> None:
    replica = replica_of(own_cluster)
    group = [replica, *replica.children(recursive=True)]
    body = {"prompt": "def f(", "max_tokens": 1500, "stream": True, "stop": []}
    seen: list[str] = []
    with (
        own_cluster.client() as client,
        client.stream("POST", "/v1/completions", json=body) as response,
    ):
        for line in response.iter_lines():
            if line.startswith("data: "):
                seen.append(line[6:])
            if len(seen) == 3:
                replica.kill()
    assert "[DONE]" not in seen
    assert json.loads(seen[-1])["error"]["code"] == "engine_unavailable"
    _, alive = psutil.wait_procs(group, timeout=5)
    assert alive == []
    with own_cluster.client() as client:
        refused = client.post("/v1/completions", json={"prompt": "x", "max_tokens": 1})
        assert refused.status_code == 503
        assert "Retry-After" in refused.headers
    wait_until_ready(own_cluster)
    with own_cluster.client() as client:
        assert client.post("/v1/completions", json={"prompt": "x"}).status_code == 200
    assert replica_of(own_cluster).pid != replica.pid
