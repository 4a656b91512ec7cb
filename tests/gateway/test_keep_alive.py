"""Comments in streams that are silent, which proxies would otherwise close."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio

from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.gateway.live_answer import KEEP_ALIVE
from services.inference.engines.echo_engine import EchoEngine
from services.inference.engines.generation import Delta, GenerationRequest
from tests.gateway.conftest import Gateway, deployment, echo_replica, gateway_settings, serving

COMMENT = KEEP_ALIVE.decode().strip()


class HeldEngine(EchoEngine):
    """Says nothing before it is told to."""

    told = asyncio.Event()

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta]:
        await self.told.wait()
        async for delta in super().generate(request):
            yield delta


@pytest_asyncio.fixture
async def impatient(
    store: Store, settings: ClusterSettings, tmp_path: Path
) -> AsyncIterator[Gateway]:
    """Its streams are not silent for longer than 20 ms; its engine is silent."""
    HeldEngine.told = asyncio.Event()
    registry = Registry(store)
    await registry.put_deployment(deployment())
    async with (
        echo_replica(settings, registry, "r1", tmp_path, HeldEngine),
        serving(gateway_settings(settings, keep_alive_seconds=0.02), store) as gateway,
    ):
        yield gateway


async def test_a_stream_is_alive_before_its_first_token(impatient: Gateway) -> None:
    body = {"prompt": "abc", "max_tokens": 3, "stream": True, "temperature": 0}
    async with (
        impatient.client() as client,
        client.stream("POST", "/v1/completions", json=body) as answer,
    ):
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        assert [await anext(lines) for _ in range(4)] == [COMMENT, "", COMMENT, ""]
        HeldEngine.told.set()
        rest = [line async for line in lines if line and line != COMMENT]
    assert rest[-1] == "data: [DONE]"
    assert '"text":"a"' in rest[0]


async def test_an_error_after_a_comment_is_an_event(impatient: Gateway) -> None:
    body = {"prompt": "x" * 100_000, "max_tokens": 3, "stream": True}
    async with impatient.client() as client:
        refused = await client.post("/v1/completions", json={**body, "stream": False, "n": 99})
        assert refused.status_code == 400
        async with client.stream("POST", "/v1/completions", json={**body, "prompt": "a"}) as answer:
            lines = answer.aiter_lines()
            assert await anext(lines) == COMMENT
            impatient.state.ending.set()
            told = [line async for line in lines if line.startswith("data: ")]
    assert "Hearth is being stopped" in told[-1]


async def test_what_is_not_streamed_waits_in_silence(impatient: Gateway) -> None:
    async with impatient.client() as client:
        asked = asyncio.create_task(client.post("/v1/completions", json={"prompt": "abc"}))
        await asyncio.wait([asked], timeout=0.1)
        assert not asked.done()
        HeldEngine.told.set()
        answer: httpx.Response = await asked
    assert answer.json()["choices"][0]["text"]
