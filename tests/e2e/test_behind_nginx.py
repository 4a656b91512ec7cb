"""Real clients on real vLLM, through a real nginx that shows Hearth below a path."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest
import pytest_asyncio

from tests.e2e.behind_nginx import behind_nginx
from tests.e2e.refact_agent import refact_agent
from tests.e2e.running import Cluster
from tests.e2e.watching import measured

pytestmark = pytest.mark.e2e

MODEL = "hearth/starter-coder"
CURSOR = {
    "inputs": {
        "sources": {"circle.py": "class Circle:\n    def __init__(self, "},
        "cursor": {"file": "circle.py", "line": 1, "character": 23},
        "multiline": False,
    },
    "parameters": {"temperature": 0, "max_new_tokens": 16},
    "stream": False,
    "no_cache": True,
}


@pytest_asyncio.fixture
async def proxied(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with behind_nginx(cluster, tmp_path) as proxied:
        yield proxied


def num_prompt_tokens(cluster: Cluster) -> float:
    return measured(cluster, "hearth_tokens_total", model=MODEL, kind="prompt")


def test_the_openai_sdk(proxied: Cluster) -> None:
    with openai.OpenAI(base_url=f"{proxied.url}/v1", api_key=proxied.token) as sdk:
        chunks = list(
            sdk.completions.create(
                model=MODEL, prompt="import os\n\n\ndef list_files(", max_tokens=24, stream=True
            )
        )
        assert len(chunks) > 3
        assert "".join(chunk.choices[0].text for chunk in chunks)


def test_refacts_agent_completes_and_chats(proxied: Cluster, tmp_path: Path) -> None:
    """Its address must end in a slash: what stands after the last one it takes for a file."""
    at = dataclasses.replace(proxied, url=f"{proxied.url}/")
    with refact_agent(at, proxied.token, tmp_path) as agent:
        caps = agent.get("/v1/caps").json()
        assert caps["endpoint_template"] == f"{proxied.url}/v1/completions"
        before = num_prompt_tokens(proxied)
        answer = agent.post("/v1/code-completion", json=CURSOR)
        assert answer.status_code == 200, answer.text
        assert num_prompt_tokens(proxied) > before
        chat = {"messages": [{"role": "user", "content": "Hello"}], "model": MODEL}
        body = {**chat, "stream": False, "chat_id": "x", "parameters": {"max_new_tokens": 8}}
        answer = agent.post("/v1/chat", json=body)
        assert answer.status_code == 200, answer.text
