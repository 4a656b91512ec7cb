"""Tabby's own agent, through a real nginx that shows Hearth below a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.behind_nginx import behind_nginx
from tests.e2e.clients.tabby_agent import LineAgent, tabby_agent
from tests.e2e.running import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.clients]

CURSOR = {
    "filepath": "circle.py",
    "language": "python",
    "text": "class Circle:\n    def __init__(self, radius):\n        self.radius = ",
    "position": 68,
    "manually": True,
}


@pytest.mark.parametrize("place", ["", "/", "/tabby"])
async def test_tabbys_agent_completes(cluster: Cluster, tmp_path: Path, place: str) -> None:
    async with (
        behind_nginx(cluster, tmp_path) as proxied,
        tabby_agent(LineAgent, proxied.url + place, proxied.token, tmp_path) as agent,
    ):
        assert await agent.call("initialize", {"clientProperties": {}})
        health = await agent.call("getServerHealthState")
        assert "starter-coder" in health["model"]
        answer = await agent.call("provideCompletions", CURSOR)
        assert "starter-coder" in answer["id"]
