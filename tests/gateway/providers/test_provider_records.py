"""Who may use which provider's models, by which names, and how an administrator changes that."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from services.cluster.provider_records import ProviderKind, ProviderModel
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from services.gateway.auth import DEFAULT_TEAM
from tests.gateway.conftest import MODEL, Gateway
from tests.gateway.providers.conftest import Add, Fakes
from tests.gateway.providers.test_chats import HELLO, chat

OPENAI = ProviderKind.OPENAI


async def names(client: httpx.AsyncClient) -> list[str]:
    return [model["id"] for model in (await client.get("/v1/models")).json()["data"]]


async def test_off_by_default(gateway: Gateway, admin: httpx.AsyncClient, fakes: Fakes) -> None:
    models = [{"name": "gpt-4o", "context_tokens": 128000}]
    given = {"kind": "openai", "base_url": fakes[OPENAI].url, "models": models}
    answer = await admin.post("/api/v1/providers", json=given)
    assert answer.json()["is_enabled"] is False
    async with gateway.client() as client:
        assert not any("gpt-4o" in name for name in await names(client))
        assert (await chat(client, OPENAI)).status_code == 404
        assert not fakes[OPENAI].seen
        await admin.patch("/api/v1/providers/openai", json={"is_enabled": True})
        assert "openai/gpt-4o" in await names(client)
        assert (await admin.delete("/api/v1/providers/openai")).status_code == 204
        assert (await chat(client, OPENAI)).status_code == 404


async def test_a_team_that_may_not_does_not_see_it(
    gateway: Gateway, add: Add, fakes: Fakes
) -> None:
    await add(OPENAI, team_ids=("somebody-elses",))
    async with gateway.client() as client:
        assert "openai/gpt-4o" not in await names(client)
        refused = await chat(client, OPENAI)
        caps = (await client.get("/refact-caps")).text
    assert refused.status_code == 404
    assert "openai/gpt-4o" not in refused.json()["error"]["message"].split("has:")[1]
    assert "gpt-4o" not in caps
    assert not fakes[OPENAI].seen


async def test_a_team_that_may(gateway: Gateway, add: Add) -> None:
    await add(OPENAI, team_ids=("somebody-elses", DEFAULT_TEAM))
    async with gateway.client() as client:
        assert (await chat(client, OPENAI)).status_code == 200


async def test_the_team_of_the_token_counts(
    gateway: Gateway, add: Add, store: Store, fakes: Fakes
) -> None:
    await add(OPENAI, team_ids=("blue",))
    async with gateway.client() as client:
        assert (await chat(client, OPENAI)).status_code == 404
        for token_id, text in (await store.redis.hgetall(Keys.TOKENS)).items():
            record = json.dumps({**json.loads(text), "team_id": "blue"})
            await store.redis.hset(Keys.TOKENS, token_id, record)
            await store.redis.xadd(Keys.TOKEN_EVENTS, {"token_id": token_id})
        while (await chat(client, OPENAI)).status_code == 404:
            await asyncio.sleep(0.01)
        assert "openai/gpt-4o" in await names(client)
    assert fakes[OPENAI].seen


async def test_what_leaves_the_site_is_marked_and_comes_last(gateway: Gateway, add: Add) -> None:
    await add(OPENAI)
    await add(ProviderKind.REMOTE)
    async with gateway.client() as client:
        data = (await client.get("/v1/models")).json()["data"]
    marks = {model["id"]: model["leaves_site"] for model in data}
    assert (marks[MODEL], marks["org/own:7b"], marks["openai/gpt-4o"]) == (False, False, True)
    assert list(marks).index("openai/gpt-4o") > list(marks).index("org/own:7b")


async def test_a_request_without_a_model_never_leaves(
    gateway: Gateway, add: Add, fakes: Fakes
) -> None:
    await add(OPENAI)
    await gateway.state.registry.delete_deployment("d1")
    await gateway.state.cache.refresh()
    async with gateway.client() as client:
        for path, body in (
            ("/v1/chat/completions", {"messages": HELLO}),
            ("/v1/completions", {"prompt": "x"}),
            ("/v1/embeddings", {"input": "x"}),
        ):
            assert (await client.post(path, json=body)).status_code in (404, 503)
        assert not fakes[OPENAI].seen
        await add(ProviderKind.REMOTE)
        answer = await client.post("/v1/chat/completions", json={"messages": HELLO})
    assert answer.json()["model"] == "org/own:7b"
    assert len(fakes[ProviderKind.REMOTE].seen) == 1


@pytest.mark.parametrize("name", ["a:b", "org/a", "org/a:b/c", "ft:gpt-4o:org::id"])
async def test_names_with_other_signs(gateway: Gateway, add: Add, fakes: Fakes, name: str) -> None:
    for kind in (OPENAI, ProviderKind.REMOTE):
        await add(kind, models=(ProviderModel(name=name, context_tokens=4096),))
    async with gateway.client() as client:
        for kind, asked in ((OPENAI, f"openai/{name}"), (ProviderKind.REMOTE, name)):
            for suffix in ("", ":auto"):
                answer = await chat(client, kind, model=asked + suffix)
                assert answer.status_code == 200, answer.text
                assert answer.json()["model"] == asked
            assert fakes[kind].bodies[-1]["model"] == name
            assert asked in await names(client)


async def test_a_new_address_needs_the_key_again(
    gateway: Gateway, admin: httpx.AsyncClient, add: Add, fakes: Fakes
) -> None:
    await add(OPENAI)
    place, other = "/api/v1/providers/openai", fakes[ProviderKind.COMPATIBLE].url
    refused = await admin.patch(place, json={"base_url": other})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "key"
    same = await admin.patch(place, json={"base_url": fakes[OPENAI].url + "/"})
    assert same.json()["has_key"] is True
    forgotten = await admin.patch(place, json={"base_url": other, "key": ""})
    assert (forgotten.json()["has_key"], forgotten.json()["key_changed_at"]) == (False, 0)
    async with gateway.client() as client:
        await chat(client, OPENAI)
    assert "authorization" not in fakes[ProviderKind.COMPATIBLE].seen[-1].headers


async def test_two_changes_at_once_are_both_made(
    gateway: Gateway, admin: httpx.AsyncClient, add: Add
) -> None:
    await add(OPENAI)
    place = "/api/v1/providers/openai"
    bodies: list[dict[str, Any]] = [
        {"is_enabled": False},
        {"masks_secrets": False},
        {"team_ids": ["a"]},
        {"key": "sk-new"},
        {"models": []},
    ]
    answers = await asyncio.gather(*(admin.patch(place, json=body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    found = (await admin.get(place)).json()
    assert [found["is_enabled"], found["masks_secrets"]] == [False, False]
    assert [found["team_ids"], found["models"]] == [["a"], []]
    assert gateway.state.sealer.open(gateway.state.view.providers["openai"].sealed_key) == "sk-new"


async def test_refact_is_told_what_a_model_elsewhere_can_do(gateway: Gateway, add: Add) -> None:
    await add(OPENAI)
    await add(ProviderKind.REMOTE)
    async with gateway.client() as client:
        agent = {"User-Agent": "refact-lsp 0.10.19"}
        caps = (await client.get("/refact-caps", headers=agent)).json()
    chats = caps["chat"]["models"]
    told = {name: chats[name].get("supports_multimodality") for name in chats}
    assert told == {MODEL: None, "org/own:7b": False, "openai/gpt-4o": True}
    assert chats["openai/gpt-4o"]["supports_tools"] is True
    assert set(caps["completion"]["models"]) == {MODEL, "org/own:7b"}
    assert caps["chat"]["default_model"] == MODEL
    assert caps["completion"]["default_model"] == MODEL
