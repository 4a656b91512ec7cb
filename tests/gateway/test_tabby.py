"""What the Tabby plugin asks, of a real gateway and the echo engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from services.cluster.identity import Scope
from services.cluster.records import AdapterRecord
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.gateway.dialects.tabby_requests import Snippet
from services.gateway.dialects.tabby_snippets import commented
from tests.gateway.conftest import (
    MODEL,
    EchoReplica,
    Gateway,
    deployment,
    gateway_settings,
    serving,
)

PATHS = ("/tabby/v1/completions", "/v1/completions")
PREFIX, SUFFIX = "def add(a, b):\n    return ", "\n\nprint(add(1, 2))\n"
DECLARATION = {"filepath": "sums.py", "body": "def total(\n  *numbers):"}
AS_COMMENTS = "# Path: sums.py\n# def total(\n#   *numbers):\n"


async def complete(gateway: Gateway, path: str = PATHS[0], **body: Any) -> httpx.Response:
    async with gateway.client() as client:
        return await client.post(path, json={"language": "python", **body})


def parts(replica: EchoReplica) -> tuple[str, str]:
    """What stood before and after the cursor in the newest prompt."""
    specials = replica.engine.tokenizer.special_tokens
    ids = list(replica.engine.requests[-1].prompt_token_ids)
    assert ids[0] == specials["<|fim_prefix|>"]
    assert ids[-1] == specials["<|fim_middle|>"]
    middle = ids.index(specials["<|fim_suffix|>"])
    return bytes(ids[1:middle]).decode(), bytes(ids[middle + 1 : -1]).decode()


@pytest.mark.parametrize("path", PATHS)
async def test_segments_become_fill_in_the_middle(
    gateway: Gateway, replica: EchoReplica, path: str
) -> None:
    answer = await complete(gateway, path, segments={"prefix": PREFIX, "suffix": SUFFIX})
    assert answer.status_code == 200, answer.text
    (choice,) = answer.json()["choices"]
    assert choice["index"] == 0
    assert choice["text"]
    assert MODEL in answer.json()["id"]
    assert parts(replica) == (PREFIX, SUFFIX)
    sampling = replica.engine.requests[-1].sampling
    assert list(sampling.stop) == ["\n\n"]
    assert sampling.max_tokens == 64
    assert sampling.temperature == 0.1


async def test_what_it_sends_beside_the_cursor_is_taken_or_passed_over(
    gateway: Gateway, replica: EchoReplica
) -> None:
    segments: dict[str, Any] = {
        "prefix": PREFIX,
        "suffix": None,
        "filepath": "a.py",
        "git_url": "git@example.org:a.git",
        "declarations": None,
        "clipboard": "text",
        "edit_history": {},
    }
    body: dict[str, Any] = {"temperature": 0.5, "seed": 2**64 - 1, "user": "me", "mode": "standard"}
    answer = await complete(gateway, segments=segments, debug_options=None, **body)
    assert answer.status_code == 200, answer.text
    assert parts(replica) == (PREFIX, "")
    assert replica.engine.requests[-1].sampling.temperature == 0.5
    assert replica.engine.requests[-1].sampling.seed == 2**63 - 1


async def test_snippets_stand_before_the_file_as_comments(
    gateway: Gateway, replica: EchoReplica
) -> None:
    changed = {"filepath": "b.py", "body": "x = 1", "score": 0.5}
    segments = {
        "prefix": PREFIX,
        "relevant_snippets_from_changed_files": [changed],
        "declarations": [DECLARATION],
    }
    assert (await complete(gateway, segments=segments)).status_code == 200
    assert parts(replica)[0] == f"{AS_COMMENTS}# Path: b.py\n# x = 1\n{PREFIX}"
    await complete(gateway, segments=segments, language="json")
    assert parts(replica)[0] == PREFIX


def test_snippets_that_have_no_room_are_left_out_whole() -> None:
    long, short = Snippet(filepath="a", body="x" * 100), Snippet(filepath="", body="y")
    assert commented([long, short], "go", 20) == "// y\n"
    assert commented([short, short], "go", 9) == "// y\n"


def test_no_line_of_a_snippet_is_code() -> None:
    snippet = Snippet(filepath="a\nimport os", body="b\r\n\nc\x0bd")
    lines = commented([snippet], "python", 1000).splitlines()
    assert len(lines) == 6
    assert all(line.startswith("#") for line in lines)


async def test_a_long_file_is_cut_far_from_the_cursor(
    gateway: Gateway, replica: EchoReplica
) -> None:
    segments = {"prefix": "x" * 9000 + PREFIX, "suffix": SUFFIX, "declarations": [DECLARATION]}
    assert (await complete(gateway, segments=segments)).status_code == 200
    before, after = parts(replica)
    assert before.endswith(PREFIX)
    assert "sums.py" not in before
    assert after == SUFFIX


async def test_windows_lines_come_back_as_they_came(gateway: Gateway, replica: EchoReplica) -> None:
    segments = {"prefix": "a\r\nb", "suffix": "\r\nc"}
    text = (await complete(gateway, segments=segments)).json()["choices"][0]["text"]
    assert parts(replica) == ("a\nb", "\nc")
    assert "\r\n" in text
    assert "\n" not in text.replace("\r\n", "")


async def test_a_model_without_fill_in_the_middle_continues_the_prefix(
    gateway: Gateway, replica: EchoReplica
) -> None:
    record = replica.state.record().model_copy(update={"fim": None})
    await gateway.state.registry.put_replica(record)
    await gateway.state.cache.refresh()
    segments = {"prefix": "x" * 9000 + PREFIX, "suffix": SUFFIX}
    assert (await complete(gateway, segments=segments)).status_code == 200
    prompt = bytes(replica.engine.requests[-1].prompt_token_ids).decode()
    assert len(prompt) == 4096 - 64
    assert prompt.endswith(PREFIX)


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({}, 400, "segments"),
        ({"segments": {}}, 400, "prefix"),
        ({"segments": {"prefix": "a"}, "mode": "next_edit_suggestion"}, 400, "standard"),
        ({"segments": {"prefix": "a"}, "stream": True}, 400, "whole"),
        ({"segments": {"prefix": "a"}, "temperature": 9}, 400, "temperature"),
        ({"segments": {"prefix": "a"}, "seed": -1}, 400, "seed"),
        ({"segments": {"prefix": "a", "declarations": [{}]}}, 400, "body"),
        ({"segments": {"prefix": "a"}, "debug_options": {"raw_prompt": "b"}}, 400, "raw_prompt"),
        ({"segments": {"prefix": "a"}, "model": "none/such"}, 404, "none/such"),
    ],
)
async def test_what_cannot_work_is_told(
    gateway: Gateway, body: dict[str, Any], status: int, word: str
) -> None:
    answer = await complete(gateway, **body)
    assert answer.status_code == status, answer.text
    assert word in answer.json()["detail"]


async def test_segments_that_are_null_are_no_segments(gateway: Gateway) -> None:
    answer = await complete(gateway, "/v1/completions", prompt="abc", segments=None)
    assert answer.json()["object"] == "text_completion"


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_it_chats_as_openai_does(gateway: Gateway, version: str) -> None:
    said = [{"role": "user", "content": "hi"}]
    body = {"messages": said, "model": "", "stream": True, "max_tokens": 4}
    async with gateway.client() as client:
        answer = await client.post(f"/tabby/{version}/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("root", ["", "/tabby"])
async def test_health_names_what_answers(gateway: Gateway, root: str, method: str) -> None:
    async with gateway.client() as client:
        health = (await client.request(method, f"{root}/v1/health")).json()
        setting = (await client.get(f"{root}/v1beta/server_setting")).json()
    assert health["model"] == health["chat_model"] == MODEL
    assert health["device"] == "cpu"
    assert health["cuda_devices"] == []
    assert health["version"]["git_describe"].startswith("v0.30.0")
    assert setting == {"disable_client_side_telemetry": True}


async def test_health_waits_for_a_model(store: Store, settings: ClusterSettings) -> None:
    wanted = deployment().model_copy(update={"detail": "It reads its weights."})
    await Registry(store).put_deployment(wanted)
    async with serving(gateway_settings(settings), store) as gateway, gateway.client() as client:
        answer = await client.get("/tabby/v1/health")
    assert answer.status_code == 503
    assert "It reads its weights." in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/tabby/v1/health"),
        ("GET", "/tabby/v1beta/server_setting"),
        ("POST", "/tabby/v1/completions"),
        ("POST", "/tabby/v1/chat/completions"),
        ("POST", "/tabby/v1/events"),
    ],
)
async def test_everything_needs_a_token_for_completions(
    gateway: Gateway, method: str, path: str
) -> None:
    async with gateway.client(None) as client:
        assert (await client.request(method, path)).status_code == 401
    async with gateway.client(Scope.MODELS_READ) as client:
        assert (await client.request(method, path)).status_code == 403


def counted(model: str, adapter: str, event: str) -> float:
    labels = {"model": model, "adapter": adapter, "event": event}
    return REGISTRY.get_sample_value("hearth_completion_events_total", labels) or 0


Send = Callable[..., Any]


@pytest_asyncio.fixture
async def send(gateway: Gateway) -> AsyncIterator[Send]:
    """Sends an event as the plugin does: as text, to any gateway."""
    async with gateway.client() as client:
        client.headers["Content-Type"] = "text/plain"

        async def send(body: str, query: str = "") -> httpx.Response:
            return await client.post(f"/tabby/v1/events{query}", content=body)

        yield send


@pytest.mark.parametrize(
    ("kind", "query", "event"),
    [
        ("view", "", "shown"),
        ("select", "", "accepted"),
        ("select", "?select_kind=line", "accepted_line"),
        ("dismiss", "", "dismissed"),
    ],
)
async def test_what_became_of_a_completion_is_counted(
    gateway: Gateway, send: Send, kind: str, query: str, event: str
) -> None:
    answer_id = (await complete(gateway, segments={"prefix": PREFIX})).json()["id"]
    before = counted(MODEL, "", event)
    body = f'{{"type": "{kind}", "completion_id": "{answer_id}", "choice_index": 0, "elapsed": 9}}'
    answer = await send(body, query)
    assert answer.status_code == 200
    assert answer.content == b""
    assert counted(MODEL, "", event) == before + 1


async def test_an_adapter_is_counted_by_itself_and_what_a_client_made_up_is_not(
    gateway: Gateway, send: Send
) -> None:
    adapter = AdapterRecord(adapter_id="a1", model=MODEL, name="a", rank=8, created_at=1)
    await gateway.state.registry.put_adapter(adapter)
    await gateway.state.cache.refresh()
    before, unknown = counted(MODEL, "a1", "shown"), counted("", "", "shown")
    made_up = (f"{MODEL}:a2", "none/such", "none/such:a1", f"{MODEL}\\n", "")
    ids = [f"cmpl-{'0' * 24}-{name}" for name in (f"{MODEL}:a1", *made_up)]
    for answer_id in [*ids, "agent-1"]:
        answer = await send(f'{{"type": "view", "completion_id": "{answer_id}"}}')
        assert answer.status_code == 200, answer.text
    assert counted(MODEL, "a1", "shown") == before + 1
    assert counted("", "", "shown") == unknown + 1 + len(made_up)


@pytest.mark.parametrize(
    ("body", "word"),
    [("", "JSON"), ('{"type": "seen", "completion_id": "a"}', "view"), ('{"type": "view"}', "id")],
)
async def test_an_event_that_means_nothing_is_refused(send: Send, body: str, word: str) -> None:
    answer = await send(body)
    assert answer.status_code == 400
    assert word in answer.json()["detail"]
