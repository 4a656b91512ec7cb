"""Each provider's API on this host, and the records that lead a gateway to them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from services.cluster.identity import Scope
from services.cluster.provider_records import ProviderKind, ProviderModel, ProviderRecord
from services.cluster.settings import ClusterSettings
from services.cluster.store.client import patient_client
from services.cluster.store.connection import Store
from tests.gateway.conftest import Gateway, gateway_settings, serving
from tests.gateway.providers.fake_anthropic import FakeAnthropic
from tests.gateway.providers.fake_openai import FakeGroq, FakeMistral, FakeOpenAI, FakeVllm
from tests.gateway.providers.fake_server import FakeProvider, running

KEYS = {
    ProviderKind.OPENAI: "sk-proj-Zq8hearthTestKeyOnlyOpenAI0123456789abcdWXYZ",
    ProviderKind.ANTHROPIC: "sk-ant-api03-Zq8hearthTestKeyOnlyAnthropic01234567WXYZ",
    ProviderKind.MISTRAL: "Zq8hearthTestKeyMistral012345WXYZ",
    ProviderKind.GROQ: "gsk_Zq8hearthTestKeyOnlyGroq0123456789abcdefghijkWXYZ",
    ProviderKind.COMPATIBLE: "Zq8hearthTestKeyCompatible0123WXYZ",
    ProviderKind.REMOTE: "",
}
MODELS = {
    ProviderKind.OPENAI: (
        ProviderModel(name="gpt-4o", context_tokens=128000, supports_images=True),
        ProviderModel(
            name="gpt-3.5-turbo-instruct",
            context_tokens=4096,
            supports_chat=False,
            supports_completion=True,
            supports_fill_in_the_middle=True,
        ),
        ProviderModel(name="text-embedding-3-small", context_tokens=8192, embedding_size=2),
    ),
    ProviderKind.ANTHROPIC: (
        ProviderModel(
            name="claude-sonnet",
            context_tokens=200000,
            max_output_tokens=64000,
            supports_images=True,
        ),
    ),
    ProviderKind.MISTRAL: (
        ProviderModel(
            name="codestral-latest", context_tokens=262144, supports_fill_in_the_middle=True
        ),
    ),
    ProviderKind.GROQ: (ProviderModel(name="llama-3.3-70b-versatile", context_tokens=131072),),
    ProviderKind.COMPATIBLE: (
        ProviderModel(
            name="org/coder:7b",
            context_tokens=32768,
            supports_completion=True,
            fim_family="qwen2.5-coder",
        ),
    ),
    ProviderKind.REMOTE: (
        ProviderModel(
            name="org/own:7b",
            context_tokens=32768,
            supports_completion=True,
            fim_family="qwen2.5-coder",
        ),
    ),
}
CHATTING = {
    ProviderKind.OPENAI: "openai/gpt-4o",
    ProviderKind.ANTHROPIC: "anthropic/claude-sonnet",
    ProviderKind.MISTRAL: "mistral/codestral-latest",
    ProviderKind.GROQ: "groq/llama-3.3-70b-versatile",
    ProviderKind.COMPATIBLE: "compatible/org/coder:7b",
    ProviderKind.REMOTE: "org/own:7b",
}

Fakes = dict[ProviderKind, FakeProvider]


@pytest_asyncio.fixture(scope="session")
async def servers() -> AsyncIterator[Fakes]:
    made: Fakes = {
        ProviderKind.OPENAI: FakeOpenAI(KEYS[ProviderKind.OPENAI]),
        ProviderKind.ANTHROPIC: FakeAnthropic(KEYS[ProviderKind.ANTHROPIC]),
        ProviderKind.MISTRAL: FakeMistral(KEYS[ProviderKind.MISTRAL]),
        ProviderKind.GROQ: FakeGroq(KEYS[ProviderKind.GROQ]),
        ProviderKind.COMPATIBLE: FakeVllm(KEYS[ProviderKind.COMPATIBLE]),
        ProviderKind.REMOTE: FakeVllm(KEYS[ProviderKind.REMOTE]),
    }
    async with AsyncExitStack() as stack:
        for fake in made.values():
            await stack.enter_async_context(running(fake))
        yield made


@pytest.fixture
def fakes(servers: Fakes) -> Fakes:
    for fake in servers.values():
        fake.reset()
    return servers


def record(gateway: Gateway, fakes: Fakes, kind: ProviderKind, **changes: Any) -> ProviderRecord:
    key = KEYS[kind]
    values: dict[str, Any] = {
        "provider_id": kind.value,
        "kind": kind,
        "base_url": fakes[kind].url,
        "sealed_key": gateway.state.sealer.seal(key) if key else "",
        "is_enabled": True,
        "models": MODELS[kind],
        "created_at": time.time(),
        "updated_at": time.time(),
    }
    return ProviderRecord(**{**values, **changes})


Add = Callable[..., Awaitable[ProviderRecord]]


@pytest.fixture
def add(gateway: Gateway, fakes: Fakes) -> Add:
    async def added(kind: ProviderKind, **changes: Any) -> ProviderRecord:
        found = record(gateway, fakes, kind, **changes)
        assert await gateway.state.registry.add_provider(found)
        await gateway.state.cache.refresh()
        return found

    return added


@pytest_asyncio.fixture(scope="module")
async def shared(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory, servers: Fakes
) -> AsyncIterator[Gateway]:
    """With every provider, for tests that change no record."""
    settings = ClusterSettings(
        redis_url=redis_url,
        data_dir=tmp_path_factory.mktemp("data"),
        cluster_key=SecretStr("test-key"),
        host_id="here",
    )
    store = Store(patient_client(redis_url))
    await store.wait_ready(10)
    await store.redis.flushall()
    changed = gateway_settings(settings, first_token_seconds=1.5, next_token_seconds=1)
    async with serving(changed, store) as gateway:
        for kind in servers:
            await gateway.state.registry.add_provider(record(gateway, servers, kind))
        await gateway.state.cache.refresh()
        yield gateway
    await store.close()


@pytest.fixture
def outside(shared: Gateway, fakes: Fakes) -> Fakes:
    """What the shared gateway asks, and has not yet found silent."""
    shared.state.speakers.providers.forget_others(())
    return fakes


@pytest_asyncio.fixture(scope="module")
async def client(shared: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with shared.client() as client:
        yield client


@pytest_asyncio.fixture
async def admin(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client(Scope.ADMIN) as client:
        yield client
