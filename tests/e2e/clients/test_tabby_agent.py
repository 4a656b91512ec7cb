"""Tabby's agent (1.5.0, the newest that can be installed alone) against the whole cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients.tabby_agent import LanguageServer, LineAgent, tabby_agent
from tests.e2e.running import Cluster
from tests.e2e.watching import measured

pytestmark = [pytest.mark.e2e, pytest.mark.clients]

MODEL = "hearth/starter-coder"
NUM_TRIES = 3
# At the end of a line: within one, the agent shows nothing that has several.
BEFORE = "class Circle:\n    def __init__(self, name, radius):\n        self.radius = "
AFTER = (
    "\n        self.name = name\n",
    "\n        self.name = name\n\n    def area(self):\n        return 3.14 * self.radius**2\n",
)


def num_tokens(cluster: Cluster, kind: str) -> float:
    return measured(cluster, "hearth_tokens_total", model=MODEL, kind=kind)


def num_events(cluster: Cluster, event: str) -> float:
    return measured(cluster, "hearth_completion_events_total", model=MODEL, adapter="", event=event)


def num_prompt_tokens(cluster: Cluster, after: str) -> int:
    """Of the same place, asked for as an OpenAI client asks."""
    body = {"prompt": BEFORE, "suffix": after, "model": MODEL, "max_tokens": 1}
    with cluster.client() as client:
        return int(client.post("/v1/completions", json=body).json()["usage"]["prompt_tokens"])


def at_the_cursor(after: str) -> dict[str, Any]:
    """The request of a plugin whose cursor stands between BEFORE and `after`."""
    return {
        "filepath": "circle.py",
        "language": "python",
        "text": BEFORE + after,
        "position": len(BEFORE),
        "manually": True,
    }


async def started(agent: LineAgent) -> None:
    assert await agent.call("initialize", {"clientProperties": {}})


@pytest.mark.parametrize("root", ["", "/tabby"])
async def test_a_language_server_completes(cluster: Cluster, tmp_path: Path, root: str) -> None:
    """Its request is the one that we make of `suffix`: as long. A real engine has answered.

    The answer is drawn, and the agent shows none that is blank: then it is asked elsewhere.
    """
    expected = num_prompt_tokens(cluster, AFTER[0])
    line = BEFORE.splitlines()[-1]
    position = {"line": BEFORE.count("\n"), "character": len(line)}
    async with tabby_agent(LanguageServer, cluster.url + root, cluster.token, tmp_path) as agent:
        hello = await agent.call(
            "initialize", processId=None, rootUri=None, capabilities={}, clientInfo={"name": "vi"}
        )
        assert hello["serverInfo"]["name"] == "tabby-agent"
        agent.notify("initialized")
        for number in range(NUM_TRIES):
            document = {"uri": f"file:///project/circle_{number}.py"}
            opened = {"languageId": "python", "version": 1, "text": BEFORE + AFTER[0]}
            agent.notify("textDocument/didOpen", textDocument={**document, **opened})
            prompt, generated = num_tokens(cluster, "prompt"), num_tokens(cluster, "generated")
            found = await agent.call(
                "textDocument/completion", textDocument=document, position=position
            )
            assert num_tokens(cluster, "prompt") - prompt == expected
            assert num_tokens(cluster, "generated") > generated
            if found["items"]:
                break
    (item,) = found["items"]
    assert item["textEdit"]["newText"].strip()
    assert MODEL in item["data"]["completionId"]
    methods = [message["method"] for message in agent.heard]
    assert "window/showMessage" not in methods  # its warning of a server that it cannot use


async def test_the_suffix_reaches_the_model(cluster: Cluster, tmp_path: Path) -> None:
    async with tabby_agent(LineAgent, f"{cluster.url}/tabby", cluster.token, tmp_path) as agent:
        await started(agent)
        for after in AFTER:
            expected = num_prompt_tokens(cluster, after)
            before = num_tokens(cluster, "prompt")
            await agent.call("provideCompletions", at_the_cursor(after))
            assert num_tokens(cluster, "prompt") - before == expected


async def test_what_became_of_a_completion_is_counted(cluster: Cluster, tmp_path: Path) -> None:
    async with tabby_agent(LineAgent, f"{cluster.url}/tabby", cluster.token, tmp_path) as agent:
        await started(agent)
        answer = await agent.call("provideCompletions", at_the_cursor(AFTER[0]))
        event = {"completion_id": answer["id"], "choice_index": 0, "view_id": "v", "elapsed": 9}
        for counted, more in {
            "shown": {"type": "view"},
            "accepted_line": {"type": "select", "select_kind": "line"},
            "accepted": {"type": "select"},
            "dismissed": {"type": "dismiss"},
        }.items():
            before = num_events(cluster, counted)
            assert await agent.call("postEvent", {**event, **more})
            assert num_events(cluster, counted) == before + 1


async def test_it_is_told_to_report_nothing_to_its_makers(cluster: Cluster, tmp_path: Path) -> None:
    """It asks for the setting once it is connected, and keeps it for its next start."""
    endpoint = f"{cluster.url}/tabby"
    async with tabby_agent(LineAgent, endpoint, cluster.token, tmp_path) as agent:
        await started(agent)
        assert await status(agent) == "ready"
        health = await agent.call("getServerHealthState")
        assert health["model"].startswith(MODEL)
        async with asyncio.timeout(30):
            while endpoint not in agent.stored.get("serverConfig", {}):
                await asyncio.sleep(0.05)
        assert agent.stored["serverConfig"][endpoint]["anonymousUsageTracking"]["disable"]


async def test_it_is_told_that_its_token_is_wrong(cluster: Cluster, tmp_path: Path) -> None:
    async with tabby_agent(LineAgent, f"{cluster.url}/tabby", "wrong", tmp_path) as agent:
        await started(agent)
        assert await status(agent) == "unauthorized"


async def status(agent: LineAgent) -> str:
    return str(await agent.call("getStatus"))
