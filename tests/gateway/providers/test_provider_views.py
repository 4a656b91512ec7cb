"""What an administrator may not say of a provider, and it of its models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.cluster.identity import Scope
from services.cluster.provider_records import ProviderKind
from tests.gateway.conftest import Gateway
from tests.gateway.providers.conftest import Fakes
from tests.gateway.providers.fake_server import Answer


@pytest_asyncio.fixture(scope="module")
async def admin(shared: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with shared.client(Scope.ADMIN) as client:
        yield client


BASE: dict[str, Any] = {"kind": "compatible", "base_url": "https://host.example/v1"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base_url": None}, "base_url"),
        ({"base_url": "http://host.example/v1"}, "https://"),
        ({"base_url": "ftp://host.example/v1"}, "base_url"),
        ({"base_url": "https://host.example:99999/v1"}, "base_url"),
        ({"base_url": "https://host.example:x/v1"}, "base_url"),
        ({"base_url": "https://ho st/v1"}, "base_url"),
        ({"base_url": "https://[::1/v1"}, "base_url"),
        ({"base_url": "https://host\\@other/v1"}, "base_url"),
        ({"base_url": "https://\u2603..com/v1"}, "base_url"),
        ({"base_url": "https://xn--/v1"}, "base_url"),
        ({"base_url": "https://host.example/v1?key=x"}, "base_url"),
        ({"kind": "nobody"}, "kind"),
        ({"provider_id": "A b"}, "provider_id"),
        ({"provider_id": "hearth"}, "another name"),
        ({"provider_id": "kinds"}, "another name"),
        ({"models": [{"name": "x", "context_tokens": 0}]}, "context_tokens"),
        ({"models": [{"name": ":x", "context_tokens": 1}]}, "name"),
        ({"models": [{"name": "x", "context_tokens": 1, "fim_family": "no"}]}, "fim_family"),
        ({"models": [{"name": "x", "context_tokens": 1}] * 2}, "twice"),
        ({"team_ids": [""]}, "team_ids"),
    ],
)
async def test_what_is_no_provider(
    admin: httpx.AsyncClient, changes: dict[str, Any], words: str
) -> None:
    answer = await admin.post("/api/v1/providers", json={**BASE, **changes})
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]["message"]


async def test_an_unknown_provider(admin: httpx.AsyncClient) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/test")):
        body: dict[str, Any] | None = {} if method == "POST" else None
        answer = await admin.request(method, f"/api/v1/providers/none{path}", json=body)
        assert answer.status_code == 404
    changed = await admin.patch("/api/v1/providers/none", json={"is_enabled": True})
    assert changed.status_code == 404


async def test_a_list_of_models_that_is_none_is_a_problem(
    admin: httpx.AsyncClient, outside: Fakes
) -> None:
    texts = [
        b"[]",
        b'{"data": 3}',
        b"nonsense",
        b'{"data": [{"id": "x", "capabilities": [1], "max_context_length": "y"}]}',
    ]
    for kind in ProviderKind:
        for text in texts:
            outside[kind].fault = Answer(200, text)
            answer = await admin.post(f"/api/v1/providers/{kind.value}/test", json={})
            assert answer.status_code == 200, answer.text
            assert answer.json()["problem"] or answer.json()["models"][0]["name"] == "x"
