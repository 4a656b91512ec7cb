"""The toolbox in Refact's own agent (0.10.14), which tells a plugin what commands it has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from services.cluster.identity import Scope
from services.gateway.toolbox.commands import default_commands
from tests.e2e.refact_agent import refact_agent
from tests.e2e.running import ROOT
from tests.e2e.watching import until
from tests.gateway.conftest import MODEL, Gateway

PATH = "/api/v1/toolbox"
TOKENIZER = ROOT / "services" / "inference" / "starter" / "tokenizer.json"
# What YAML could take for something else, and what a plugin fills in.
CONTENT = (
    "é 💾 \x85\u2028\ufeff \" \\ ' # : - {}\n\n```\n%CODE_SELECTION%\n```\n"
    "%CURRENT_FILE%:%CURSOR_LINE% %ARGS%"
)
RHYME = {
    "label": "Rhyme",
    "description": "Say it in verse",
    "min_lines": 2,
    "max_lines": 9,
    "messages": [{"role": "system", "content": "no"}, {"role": "user", "content": CONTENT}],
    "edition": 0,
}


def commands(agent: httpx.Client) -> dict[str, Any]:
    """As the agent tells them to a plugin."""
    told = agent.get("/v1/customization").json()
    assert told["error_log"] == []
    found: dict[str, Any] = told["toolbox_commands"]
    return found


async def test_the_agent_tells_a_plugin_of_our_commands(gateway: Gateway, tmp_path: Path) -> None:
    """It learns of a new one by the version in the next answer, whatever that is."""
    gateway.state.tokenizers[MODEL] = TOKENIZER.read_bytes()  # the echo double has none
    await asyncio.to_thread(_ask, gateway, tmp_path)


def _ask(gateway: Gateway, home: Path) -> None:
    token, admin_token = gateway.tokens[Scope.COMPLETIONS], gateway.tokens[Scope.ADMIN]
    headers = {"Authorization": f"Bearer {admin_token}"}
    with (
        httpx.Client(base_url=gateway.url, headers=headers) as admin,
        refact_agent(gateway, token, home) as agent,
    ):
        told = commands(agent)
        for name, command in default_commands().items():  # ours, where it has one of that name
            contents = [message["content"] for message in told[name]["messages"]]
            assert contents == [message.content for message in command.messages]
        assert admin.put(f"{PATH}/rhyme", json=RHYME).status_code == 200
        assert "rhyme" not in commands(agent)
        message = {"role": "user", "content": "hello"}
        body = {"messages": [message], "model": MODEL, "parameters": {"max_new_tokens": 4}}
        answer = agent.post("/v1/chat", json={**body, "stream": True, "chat_id": "tests"})
        assert answer.status_code == 200, answer.text
        until(lambda: "rhyme" in commands(agent))
        assert commands(agent)["rhyme"] == {
            "description": "Say it in verse",
            "messages": RHYME["messages"],
            "selection_needed": [2, 9],
            "selection_unwanted": False,
            "insert_at_cursor": False,
        }
