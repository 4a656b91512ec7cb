"""A real nginx as docs/operations.md sets it. It buffers answers unless they say otherwise."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from services.cluster.identity import Scope
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.inference.engines.echo_engine import EchoEngine
from services.inference.engines.generation import Delta, GenerationRequest
from tests.gateway.conftest import (
    EchoReplica,
    Gateway,
    deployment,
    echo_replica,
    gateway_settings,
    serving,
)
from tests.gateway.proxies import nginx
from tests.gateway.test_disconnects import until

PREFIX = "/hearth"
ROOT = Path(__file__).parents[2]


class SteppedEngine(EchoEngine):
    """Says one thing for each step that it is given."""

    steps: asyncio.Queue[None]

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta]:
        async with aclosing(super().generate(request)) as deltas:
            async for delta in deltas:
                await self.steps.get()
                yield delta


@dataclass
class Scene:
    gateway: Gateway  # its `url` is nginx's
    replica: EchoReplica


def places(gateway: Gateway, kind: str) -> str:
    """As documented, or the least that can be written: then nginx speaks HTTP/1.0, without chunks,
    and holds what it is not told to pass on.
    """
    if kind == "least":
        return f"location {PREFIX}/ {{ proxy_pass {gateway.url}; client_max_body_size 0; }}"
    text = (ROOT / "docs/operations.md").read_text()
    found = re.search(r"```nginx\n(.*?)```", text, re.DOTALL)
    assert found is not None
    slash = "/" if kind == "stripped" else ""
    assert "http://127.0.0.1:8008;" in found[1]
    return found[1].replace("http://127.0.0.1:8008;", f"{gateway.url}{slash};")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest_asyncio.fixture(params=["stripped", "kept", "least"])
async def scene(
    request: pytest.FixtureRequest, store: Store, settings: ClusterSettings, tmp_path: Path
) -> AsyncIterator[Scene]:
    SteppedEngine.steps = asyncio.Queue()
    registry = Registry(store)
    await registry.put_deployment(deployment())
    port = free_port()
    url = f"http://127.0.0.1:{port}{PREFIX}"
    by = {"public_url": url} if request.param == "least" else {"trusted_proxies": "127.0.0.1"}
    async with (
        echo_replica(settings, registry, "r1", tmp_path, SteppedEngine) as replica,
        serving(gateway_settings(settings, **by), store) as gateway,
        nginx(tmp_path, port, places(gateway, request.param)),
    ):
        yield Scene(Gateway(url, gateway.state, gateway.tokens), replica)


CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4, "stream": True}


async def test_a_chat_arrives_token_by_token(scene: Scene) -> None:
    """Each token is read before the engine says the next."""
    async with (
        scene.gateway.client() as client,
        asyncio.timeout(20),
        client.stream("POST", "/v1/chat/completions", json=CHAT) as answer,
    ):
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        for _ in range(3):
            SteppedEngine.steps.put_nowait(None)
            while not content(await anext(lines)):
                pass
        SteppedEngine.steps.put_nowait(None)
        assert [line async for line in lines if line][-1] == "data: [DONE]"


def content(line: str) -> str:
    if not line.startswith("data: {"):
        return ""
    return str(json.loads(line[6:])["choices"][0]["delta"].get("content") or "")


async def test_a_client_that_leaves_ends_the_generation(scene: Scene) -> None:
    async with (
        scene.gateway.client() as client,
        asyncio.timeout(20),
        client.stream("POST", "/v1/chat/completions", json=CHAT) as answer,
    ):
        lines = answer.aiter_lines()
        SteppedEngine.steps.put_nowait(None)
        while not content(await anext(lines)):
            pass
    await until(lambda: len(scene.replica.engine.aborted) == 1)


async def test_events_and_long_bodies_come_through(scene: Scene) -> None:
    async with scene.gateway.client(Scope.ADMIN) as client, asyncio.timeout(20):
        async with client.stream("GET", "/api/v1/events") as events:
            lines = events.aiter_lines()
            assert "event: cluster" in [await anext(lines) for _ in range(3)]
        # Longer than nginx takes by default. It is ours that refuses it, as no adapter.
        files = {"adapter_model.safetensors": b"x" * 3_000_000}
        refused = await client.post("/api/v1/adapters", files=files)
        assert refused.status_code == 400
        assert refused.json()["detail"]


async def test_a_browser_signs_in_below_the_prefix(scene: Scene) -> None:
    link = await scene.gateway.state.identity.create_sign_in_link()
    origin = {"Origin": scene.gateway.url.removesuffix(PREFIX)}
    async with scene.gateway.client(None) as client:
        made = await client.post("/api/v1/session", json={"link": link}, headers=origin)
        assert made.status_code == 200, made.text
        assert [cookie.path for cookie in client.cookies.jar] == [PREFIX]
        assert (await client.get("/api/v1/session")).status_code == 200
