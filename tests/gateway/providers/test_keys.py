"""A provider's key is where it is sent, and nowhere else; what leaves is masked and audited."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.cluster.identity import Scope
from services.cluster.provider_records import ProviderKind
from services.cluster.secret_patterns import mask
from services.cluster.settings import ClusterSettings
from services.cluster.store.backup import export_records
from services.cluster.store.connection import Store
from tests.gateway.conftest import Gateway
from tests.gateway.providers.conftest import CHATTING, KEYS, MODELS, Add, Fakes
from tests.gateway.providers.fake_server import Answer, Stream
from tests.gateway.providers.test_chats import HELLO, chat

# Each form of a key, and of a header that has it.
KINDS = [ProviderKind.OPENAI, ProviderKind.ANTHROPIC, ProviderKind.MISTRAL]
SECRET = "ghp_" + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ"
PROMPT = "the-words-of-a-prompt"


def lines(data_dir: Path) -> list[dict[str, Any]]:
    places = sorted((data_dir / "audit").glob("*.jsonl"))
    return [json.loads(line) for place in places for line in place.read_text().splitlines()]


def kept_by(caplog: pytest.LogCaptureFixture, data_dir: Path) -> str:
    """The log, what its lines were made of, and every file."""
    files = [file.read_bytes() for file in data_dir.rglob("*") if file.is_file()]
    texts = [file.decode(errors="replace") for file in files]
    return "\n".join([caplog.text, *(str(vars(record)) for record in caplog.records), *texts])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_is_told_to_nobody(
    gateway: Gateway,
    admin: httpx.AsyncClient,
    fakes: Fakes,
    store: Store,
    settings: ClusterSettings,
    caplog: pytest.LogCaptureFixture,
    kind: ProviderKind,
) -> None:
    """Set, used, refused, changed and wrong: it is in no answer, log, figure, file or record."""
    caplog.set_level(logging.DEBUG)
    key, told = KEYS[kind], io.StringIO()

    async def ask(method: str, path: str, **more: Any) -> httpx.Response:
        answer = await admin.request(method, path, **more)
        told.write(f"{answer.headers}\n{answer.text}\n")
        return answer

    models = [model.model_dump(exclude={"schema_version"}) for model in MODELS[kind]]
    given = {"kind": kind, "base_url": fakes[kind].url, "key": key, "models": models}
    place = f"/api/v1/providers/{kind.value}"
    created = await ask("POST", "/api/v1/providers", json={**given, "is_enabled": True})
    assert created.status_code == 201, created.text
    assert created.json()["has_key"] is True
    assert (await ask("POST", "/api/v1/providers", json=given)).status_code == 409
    await ask("GET", place)
    await ask("GET", "/api/v1/providers")
    await ask("POST", f"{place}/test", json={})
    async with gateway.client() as client:
        for fault in (None, Answer(401, f"Bad key {key}".encode()), Answer(429, key.encode())):
            fakes[kind].fault = fault
            for streams in (False, True):
                told.write((await chat(client, kind, stream=streams)).text)
        fakes[kind].fault = Stream(lambda events: events[:2], "cut")
        told.write((await chat(client, kind)).text)
        fakes[kind].fault = None
        fakes[kind].key, kept = "another", fakes[kind].key
        refused = await chat(client, kind)
        fakes[kind].key = kept
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_unavailable")
    assert "refuses the key" in refused.json()["error"]["message"]
    told.write(refused.text)
    for wrong in (f"{key} x", f"{key}\u00e9", [key], {"a": key}, key * 200):
        changed = await ask("PATCH", place, json={"key": wrong})
        assert changed.status_code == 400
    for body in ({"api_key": key}, {"base_url": f"https://x:{key}@host/v1"}):
        assert (await ask("PATCH", place, json=body)).status_code == 400
    await ask("GET", "/metrics")
    await ask("GET", "/api/v1/openapi.json")
    records, _ = await export_records(store.redis)
    told.write(b"".join(records).decode())
    everything = told.getvalue() + kept_by(caplog, settings.data_dir)
    assert key[8:-4] not in everything
    assert "sealed_key" in everything  # the backup was looked at
    assert any(key in str(seen.headers) for seen in fakes[kind].seen)


@pytest.mark.parametrize("kind", list(ProviderKind))
async def test_what_leaves_is_masked_and_audited(
    gateway: Gateway, add: Add, fakes: Fakes, settings: ClusterSettings, kind: ProviderKind
) -> None:
    await add(kind)
    tool = {"type": "function", "function": {"name": "f", "description": f"Key {SECRET}."}}
    arguments = json.dumps({"note": f"{SECRET} and \\ \"password = 'hunter2hunter2'\""})
    call = {
        "id": "call12345",
        "type": "function",
        "function": {"name": "f", "arguments": arguments},
    }
    turns = [
        {"role": "system", "content": f"{PROMPT} {SECRET}"},
        {"role": "user", "content": [{"type": "text", "text": f"{PROMPT} {SECRET}"}]},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call12345", "content": SECRET},
    ]
    async with gateway.client() as client:
        answer = await chat(client, kind, messages=turns, tools=[tool])
        assert answer.status_code == 200, answer.text
        fakes[kind].fault = Answer(500)
        await chat(client, kind)
    sent = json.dumps(fakes[kind].bodies[0])
    assert PROMPT in sent
    if not kind.leaves_site:
        assert SECRET in sent
        assert not lines(settings.data_dir)
        return
    assert SECRET not in sent
    assert sent.count("[masked GitHub token]") == 5
    before, after, again, failed = lines(settings.data_dir)
    assert (before["event"], after["event"]) == ("provider_request", "provider_answer")
    assert before["request_id"] == after["request_id"] == answer.headers["x-request-id"]
    assert (before["model"], before["provider"]) == (CHATTING[kind], kind.value)
    assert before["masked"]["GitHub token"] == 5
    assert before["user_id"]
    assert before["team_id"]
    assert (after["outcome"], after["prompt_tokens"], after["generated_tokens"]) == (
        "answered",
        11,
        5,
    )
    assert (again["masked"], failed["outcome"]) == ({}, "failed")
    audited = "".join(file.read_text() for file in (settings.data_dir / "audit").iterdir())
    for word in (PROMPT, SECRET, KEYS[kind], "Hello"):
        assert word not in audited


async def test_what_an_agent_writes_into_a_file_is_masked(
    gateway: Gateway, add: Add, fakes: Fakes
) -> None:
    """Its text stands as a string within JSON within JSON, the schema of the answer beside it."""
    await add(ProviderKind.OPENAI)
    arguments = json.dumps({"text": f'x = 1\n{SECRET}\npassword = "hunter2-hunter2"\n'})
    hidden = arguments.replace("ghp_", "\\u0067hp_")
    calls = [
        {"id": f"c{number}", "type": "function", "function": {"name": "f", "arguments": given}}
        for number, given in enumerate((arguments, hidden))
    ]
    turns = [
        {"role": "user", "content": "Write it."},
        {"role": "assistant", "tool_calls": calls},
        *({"role": "tool", "tool_call_id": call["id"], "content": arguments} for call in calls),
    ]
    schema = {"type": "object", "description": f"Not\n{SECRET}"}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    async with gateway.client() as client:
        answer = await chat(
            client, ProviderKind.OPENAI, messages=turns, response_format=wanted, stop=[SECRET]
        )
    assert answer.status_code == 200, answer.text
    body = fakes[ProviderKind.OPENAI].bodies[0]
    assert SECRET[4:] not in json.dumps(body)
    assert "hunter2" not in json.dumps(body)
    for call in body["messages"][1]["tool_calls"]:
        assert json.loads(call["function"]["arguments"]) == {
            "text": 'x = 1\n[masked GitHub token]\npassword = "[masked password]"\n'
        }


async def test_what_cannot_be_looked_through_is_not_sent(
    gateway: Gateway, add: Add, fakes: Fakes
) -> None:
    await add(ProviderKind.OPENAI)
    function = {"name": "f", "arguments": "[" * 900 + '"\\n"' + "]" * 900}
    call = {"id": "c", "type": "function", "function": function}
    turns = [*HELLO, {"role": "assistant", "tool_calls": [call]}]
    async with gateway.client() as client:
        answer = await chat(client, ProviderKind.OPENAI, messages=turns)
    assert answer.status_code == 400
    assert "nested too deeply" in answer.json()["detail"]
    assert not fakes[ProviderKind.OPENAI].seen


async def test_others_are_answered_while_a_long_prompt_is_masked(
    gateway: Gateway, add: Add, fakes: Fakes
) -> None:
    await add(ProviderKind.OPENAI)
    text = "a://" * 2**20
    began = time.monotonic()
    mask(text, Counter())
    seconds = time.monotonic() - began
    silent, heard_at = 0.0, time.monotonic()
    async with gateway.client() as client:
        turns = [{"role": "user", "content": text}]
        answer = asyncio.create_task(chat(client, ProviderKind.OPENAI, messages=turns))
        while not answer.done():
            await asyncio.sleep(0.005)
            silent, heard_at = max(silent, time.monotonic() - heard_at), time.monotonic()
    assert (await answer).status_code == 200
    assert silent < seconds / 2


async def test_masking_can_be_turned_off(gateway: Gateway, add: Add, fakes: Fakes) -> None:
    await add(ProviderKind.OPENAI, masks_secrets=False)
    async with gateway.client() as client:
        await chat(client, ProviderKind.OPENAI, messages=[{"role": "user", "content": SECRET}])
    assert fakes[ProviderKind.OPENAI].bodies[0]["messages"][0]["content"] == SECRET


async def test_texts_to_embed_are_masked(gateway: Gateway, add: Add, fakes: Fakes) -> None:
    await add(ProviderKind.OPENAI)
    asked = {"model": "openai/text-embedding-3-small", "input": [SECRET, "x"]}
    async with gateway.client() as client:
        assert (await client.post("/v1/embeddings", json=asked)).status_code == 200
    assert fakes[ProviderKind.OPENAI].bodies[0]["input"] == ["[masked GitHub token]", "x"]


async def test_what_cannot_be_audited_is_not_sent(
    gateway: Gateway, add: Add, fakes: Fakes, settings: ClusterSettings
) -> None:
    await add(ProviderKind.OPENAI)
    await add(ProviderKind.REMOTE)
    folder = settings.data_dir / "audit"
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("no folder")
    async with gateway.client() as client:
        refused = await chat(client, ProviderKind.OPENAI)
        answer = await chat(client, ProviderKind.REMOTE)
    assert refused.status_code == 507
    assert "this was not done" in refused.json()["error"]["message"]
    assert not fakes[ProviderKind.OPENAI].seen
    assert answer.status_code == 200


async def test_a_client_that_left_is_audited(
    gateway: Gateway, add: Add, fakes: Fakes, settings: ClusterSettings
) -> None:
    await add(ProviderKind.OPENAI)
    fake = fakes[ProviderKind.OPENAI]
    fake.fault = Stream(lambda events: events[:2], "hang")
    body = {"model": CHATTING[ProviderKind.OPENAI], "messages": HELLO, "stream": True}
    async with gateway.client() as client:
        async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200
        await asyncio.wait_for(fake.gone.get(), 10)
        while len(found := lines(settings.data_dir)) < 2:
            await asyncio.sleep(0.01)
    assert found[1]["outcome"] == "cancelled"


@pytest.mark.parametrize("left", [None, "", "\u00e9", "other"])
async def test_a_lost_sealing_key_is_told_in_a_sentence(
    gateway: Gateway,
    admin: httpx.AsyncClient,
    add: Add,
    settings: ClusterSettings,
    left: str | None,
) -> None:
    record = await add(ProviderKind.OPENAI)
    place = settings.data_dir / "sealing.key"
    kept = place.read_text()
    place.unlink()
    if left == "other":
        gateway.state.sealer.seal("x")  # makes a new one
    elif left is not None:
        place.write_text(left)
    gateway.state.sealer._fernet = None  # as after a restart
    async with gateway.client() as client:
        refused = await chat(client, ProviderKind.OPENAI)
        assert refused.status_code == 503
        assert "The key of openai is lost" in refused.json()["error"]["message"]
        assert "sealing.key" in refused.json()["error"]["message"]
        tested = await admin.post(f"/api/v1/providers/{record.provider_id}/test", json={})
        assert "sealing.key" in tested.json()["problem"]
        place.write_text(kept)
        answer = await chat(client, ProviderKind.OPENAI)
    assert answer.status_code == 200, answer.text


async def test_a_key_that_cannot_be_sealed_is_refused(
    gateway: Gateway, admin: httpx.AsyncClient, settings: ClusterSettings
) -> None:
    (settings.data_dir / "sealing.key").mkdir()
    answer = await admin.post("/api/v1/providers", json={"kind": "openai", "key": "sk-x"})
    assert answer.status_code == 409
    assert "sealing.key" in answer.json()["error"]["message"]
    assert (await admin.get("/api/v1/providers")).json() == []


async def test_scopes(gateway: Gateway, add: Add) -> None:
    await add(ProviderKind.OPENAI)
    for scope in set(Scope) - {Scope.ADMIN}:
        async with gateway.client(scope) as client:
            assert (await client.get("/api/v1/providers")).status_code == 403


async def test_changes_of_providers_are_audited_without_their_values(
    admin: httpx.AsyncClient, settings: ClusterSettings
) -> None:
    place, secret = "/api/v1/providers/openai", KEYS[ProviderKind.OPENAI]
    made = await admin.post("/api/v1/providers", json={"kind": "openai", "key": secret})
    assert made.status_code == 201, made.text
    changed = await admin.patch(place, json={"key": "another", "is_enabled": True})
    assert changed.status_code == 200, changed.text
    assert (await admin.delete(place)).status_code == 204
    found = lines(settings.data_dir)
    assert [(line["event"], line["fields"]) for line in found] == [
        ("provider_added", ["key", "kind"]),
        ("provider_changed", ["is_enabled", "key"]),
        ("provider_deleted", []),
    ]
    assert {line["provider"] for line in found} == {"openai"}
    assert all(line["user_id"] for line in found)
    assert secret not in str(found)
