"""Two engines share the processors: adapters come and go in one, its end harms no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from tests.contracts.tiny_model import write_adapter, write_model
from tests.e2e.running import Cluster
from tests.e2e.streams import Streams

pytestmark = pytest.mark.faults

STARTER, TINY = "hearth/starter-coder", "tiny"
NUM_STREAMS = 8
T = TypeVar("T")
PATIENCE_SECONDS = 240
GIB = 1024**3


@pytest.fixture
def admin(own_cluster: Cluster) -> Iterator[httpx.Client]:
    with own_cluster.client(own_cluster.admin_token) as client:
        yield client


@pytest.fixture
def tiny(own_cluster: Cluster, admin: httpx.Client, tmp_path: Path) -> dict[str, Any]:
    """The second deployment, ready, beside that of the starter model."""
    (folder := tmp_path / TINY).mkdir()
    write_model(folder)
    added = admin.post("/api/v1/models", json={"name": TINY, "local_path": str(folder)})
    assert added.status_code == 201, added.text
    wanted = {"model": TINY, "device_bytes": 2 * GIB}
    planned = admin.post("/api/v1/deployments/plan", json=wanted).json()
    assert planned["fits"], planned
    made = admin.post("/api/v1/deployments", json=wanted)
    assert made.status_code == 201, made.text
    deployment_id = made.json()["deployment_id"]
    return until(lambda: ready(admin, deployment_id))


def until(look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := look()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def ready(admin: httpx.Client, deployment_id: str) -> dict[str, Any] | None:
    found: dict[str, Any] = admin.get(f"/api/v1/deployments/{deployment_id}").json()
    return found if found["phase"] == "ready" else None


def restarted(admin: httpx.Client, before: dict[str, Any]) -> dict[str, Any] | None:
    now = ready(admin, before["deployment_id"])
    newer = now and now["replicas"][0]["started_at"] > before["replicas"][0]["started_at"]
    return now if newer else None


def group_of(cluster: Cluster, replica_id: str) -> list[psutil.Process]:
    """The replica's process and, last, its engine."""
    named = f"--replica-id={replica_id}"
    replica = next(p for p in cluster.processes() if named in p.cmdline())
    return [replica, *replica.children(recursive=True)]


def test_an_adapter_comes_and_goes_and_an_engine_dies_beside_another(
    own_cluster: Cluster, admin: httpx.Client, tiny: dict[str, Any], tmp_path: Path
) -> None:
    place = f"/api/v1/deployments/{tiny['deployment_id']}"
    devices = admin.get("/api/v1/cluster").json()["devices"]
    holders = [held["holder"] for device in devices for held in device["assignments"]]
    assert len(devices) == 1
    assert len(holders) == 2

    write_adapter(tmp_path / TINY, tmp_path / "adapter")
    files = {
        name: (name, (tmp_path / "adapter" / name).read_bytes())
        for name in ("adapter_config.json", "adapter_model.safetensors")
    }
    made = admin.post("/api/v1/adapters", data={"model": TINY, "name": "noise"}, files=files)
    assert made.status_code == 201, made.text
    adapter_id = made.json()["adapter_id"]
    with Streams(own_cluster, TINY, NUM_STREAMS) as streams:
        loaded = admin.put(f"{place}/adapters/{adapter_id}")
        assert loaded.status_code == 200, loaded.text
        with own_cluster.client() as client:
            body = {"model": f"{TINY}:{adapter_id}", "prompt": "def f(", "max_tokens": 8}
            assert client.post("/v1/completions", json=body).status_code == 200
        assert admin.delete(f"{place}/adapters/{adapter_id}").status_code == 200
    assert streams.failures == []
    assert streams.num_done >= NUM_STREAMS

    gateway = next(p for p in own_cluster.processes() if "services.gateway" in p.cmdline())
    replica_id = tiny["replicas"][0]["replica_id"]
    group = group_of(own_cluster, replica_id)
    with Streams(own_cluster, STARTER, 2) as unaffected:
        group[-1].kill()  # the engine; its replica ends with it
        _, alive = psutil.wait_procs(group, timeout=10)
        assert alive == []
        num_before = unaffected.num_done
        until(lambda: restarted(admin, tiny))
        assert unaffected.num_done > num_before
    assert unaffected.failures == []
    with own_cluster.client() as client:
        body = {"model": TINY, "prompt": "def f(", "max_tokens": 8}
        assert client.post("/v1/completions", json=body).status_code == 200
    assert gateway.is_running()
