"""Chats with screenshots are longer than other bodies may be."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import ValidationError

from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.gateway.settings import MIB
from services.inference.engines.echo_engine import EchoEngine
from tests.gateway.conftest import (
    EchoReplica,
    Gateway,
    deployment,
    echo_replica,
    gateway_settings,
    serving,
)

SCREENSHOT = bytes(range(256)) * (5 * MIB // 256)
PACKED = base64.b64encode(SCREENSHOT).decode()
URL = f"data:image/png;base64,{PACKED}"
OPENAI = {"type": "image_url", "image_url": {"url": URL}}
RESPONSES = {"type": "input_image", "image_url": URL}
ANTHROPIC = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": PACKED},
}


class SeeingEngine(EchoEngine):
    takes_images = True


@pytest_asyncio.fixture
async def seeing(
    store: Store, settings: ClusterSettings, tmp_path: Path
) -> AsyncIterator[EchoReplica]:
    registry = Registry(store)
    await registry.put_deployment(deployment())
    async with echo_replica(settings, registry, "r1", tmp_path, SeeingEngine) as replica:
        yield replica


@pytest_asyncio.fixture
async def small_gateway(
    store: Store, settings: ClusterSettings, replica: EchoReplica
) -> AsyncIterator[Gateway]:
    """Takes a MiB."""
    async with serving(gateway_settings(settings, max_prompt_bytes=MIB), store) as gateway:
        yield gateway


def asked(part: dict[str, Any], times: int = 1) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [part] * times}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": asked(OPENAI, 2), "max_tokens": 1}),
        ("/v1/responses", {"input": asked(RESPONSES, 2), "max_output_tokens": 1}),
        ("/v1/messages", {"messages": asked(ANTHROPIC, 2), "max_tokens": 1}),
    ],
)
async def test_screenshots_reach_the_engine(
    store: Store, settings: ClusterSettings, seeing: EchoReplica, path: str, body: dict[str, Any]
) -> None:
    async with serving(gateway_settings(settings), store) as gateway, gateway.client() as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert seeing.engine.requests[-1].images == [SCREENSHOT] * 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": asked(OPENAI)}),
        ("/v1/responses", {"input": asked(RESPONSES)}),
        ("/v1/messages", {"messages": asked(ANTHROPIC), "max_tokens": 1}),
    ],
)
async def test_what_is_too_long_is_refused_with_the_limit(
    small_gateway: Gateway, path: str, body: dict[str, Any]
) -> None:
    async with small_gateway.client() as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 413
    assert answer.json()["detail"] == "The body is larger than 1 MiB, the limit here."


async def test_other_bodies_keep_their_limit(gateway: Gateway) -> None:
    limit = gateway.state.settings.max_body_bytes
    async with gateway.client() as client:
        answer = await client.post("/v1/embeddings", json={"input": "x" * limit})
    assert answer.status_code == 413


def test_no_limit_is_longer_than_a_message_to_a_replica(settings: ClusterSettings) -> None:
    with pytest.raises(ValidationError, match="less than or equal to 33554432"):
        gateway_settings(settings, max_prompt_bytes=32 * MIB + 1)
