"""A model of a folder, hosted beside the starter model for as long as it is wanted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.running import Cluster

_PATIENCE_SECONDS = 240
_DEVICE_BYTES = 2 * 1024**3


@contextmanager
def hosted(cluster: Cluster, name: str, folder: Path, **overrides: str) -> Iterator[str]:
    """The id of its deployment, which is ready. `overrides` are said of the model."""
    with cluster.client(cluster.admin_token) as admin:
        added = admin.post(
            "/api/v1/models", json={"local_path": str(folder), "name": name, **overrides}
        )
        assert added.status_code == 201, added.text
        made = admin.post(
            "/api/v1/deployments", json={"model": name, "device_bytes": _DEVICE_BYTES}
        )
        assert made.status_code == 201, made.text
        deployment_id = str(made.json()["deployment_id"])
        place = f"/api/v1/deployments/{deployment_id}"
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (found := admin.get(place).json())["phase"] != "ready":
            assert time.monotonic() < deadline, found
            assert found["phase"] != "failed", found
            time.sleep(0.2)
        yield deployment_id
        assert admin.delete(place).status_code == 204
        assert admin.delete(f"/api/v1/models/{name}").status_code == 204
