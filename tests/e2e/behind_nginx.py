"""The running cluster as nginx shows it below a path, set as docs/operations.md says."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.running import ROOT, Cluster, free_port
from tests.gateway.proxies import nginx

PREFIX = "/hearth"


@asynccontextmanager
async def behind_nginx(cluster: Cluster, folder: Path) -> AsyncIterator[Cluster]:
    """The same cluster at another URL. The cluster trusts 127.0.0.1 as a proxy."""
    found = re.search(
        r"```nginx\n(.*?)```", (ROOT / "docs/operations.md").read_text(), flags=re.DOTALL
    )
    assert found is not None
    places = found[1].replace("http://127.0.0.1:8008;", f"{cluster.url};")
    port = free_port()
    async with nginx(folder, port, places):
        yield dataclasses.replace(cluster, url=f"http://127.0.0.1:{port}{PREFIX}")
