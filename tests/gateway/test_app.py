"""What stands around every request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi.routing import APIRoute

from services.cluster.identity import Scope
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.gateway import document
from services.gateway.app import create_app
from services.gateway.dialects.table import DIALECTS
from services.gateway.request_body import StrictRoute
from tests.gateway.conftest import MODEL, Gateway, deployment, gateway_settings, serving

# What is no dialect and takes a body from a plugin.
OTHER_BODIES = (
    "/v1/embeddings",
    "/v1/events",
    "/tabby/v1/events",
    "/stats/telemetry-basic",
    "/stats/telemetry-snippets",
)


async def test_every_answer_has_a_request_id(gateway: Gateway) -> None:
    async with gateway.client(None) as client:
        given = await client.get("/healthz", headers={"X-Request-Id": "mine-1"})
        assert given.headers["x-request-id"] == "mine-1"
        made = await client.get("/healthz", headers={"X-Request-Id": "not mine!"})
        assert len(made.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"prompt": "\xff"}',
        b"[" * 100_000,
        b'{"prompt": NaN}',
        b"[]",
        b"",
        b'{"prompt": "\\ud800"}',
    ],
)
async def test_malformed_bodies_are_told_why(gateway: Gateway, body: bytes) -> None:
    async with gateway.client() as client:
        answer = await client.post("/v1/completions", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "not valid JSON"),
        (b'{"model": "\xff"}', "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "must be a JSON object"),
        (b'{"model": "m", "deployment_id": "\\ud800"}', "half a surrogate pair"),
    ],
)
async def test_malformed_bodies_of_the_administration_are_told_why(
    gateway: Gateway, body: bytes, told: str
) -> None:
    headers = {"Content-Type": "application/json"}
    async with gateway.client(Scope.ADMIN) as client:
        answer = await client.post("/api/v1/deployments", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert told in answer.json()["detail"]


def test_every_json_body_is_read_strictly() -> None:
    lenient = [
        route.path
        for route in create_app().routes
        if isinstance(route, APIRoute) and route.body_field and not isinstance(route, StrictRoute)
    ]
    assert lenient == []


@pytest.mark.parametrize("path", [*dict.fromkeys(d.path for d in DIALECTS), *OTHER_BODIES])
async def test_half_a_character_is_refused_in_every_dialect(gateway: Gateway, path: str) -> None:
    async with gateway.client() as client:
        for half in (b"\\ud83d", b"\\ude00", b"\\ude00\\ud83d", b"\\uD83D\\ud83d\\ude00"):
            answer = await client.post(path, content=b'{"model": "%s", "prompt": "a"}' % half)
            assert answer.status_code == 400, answer.text
            assert "half a surrogate pair" in answer.text


async def test_a_whole_character_may_be_said_in_two_halves(gateway: Gateway) -> None:
    async with gateway.client() as client:
        body = b'{"prompt": "\\ud83d\\ude00", "echo": true, "max_tokens": 1}'
        answer = await client.post("/v1/completions", content=body)
    assert answer.json()["choices"][0]["text"].startswith("\U0001f600")


async def test_a_fault_of_ours_is_not_told_as_the_clients(gateway: Gateway) -> None:
    """Text of ours that UTF-8 cannot hold was once "half a character" of the request."""
    app = create_app(gateway.state)

    @app.get("/fault")
    async def fault() -> None:
        "\ud800".encode()

    app.router.routes.insert(0, app.router.routes.pop())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get("/fault")
    assert answer.status_code == 500
    assert "fault of its own" in answer.json()["detail"]


async def test_a_long_body_is_refused(gateway: Gateway) -> None:
    limit = gateway.state.settings.max_prompt_bytes

    async def parts() -> AsyncGenerator[bytes]:
        for _ in range(limit // 65536 + 2):
            yield b"x" * 65536

    async with gateway.client() as client:
        said = await client.post("/v1/completions", content=b"x" * (limit + 1))
        assert said.status_code == 413
        unsaid = await client.post("/v1/completions", content=parts())
        assert unsaid.status_code == 413


async def test_what_is_not_there_is_told(gateway: Gateway) -> None:
    async with gateway.client() as client:
        for method, path, status in (
            ("GET", "/v1/nothing", 404),
            ("POST", "/nothing", 404),
            ("GET", "/v1/completions", 405),
            ("DELETE", "/v1/models", 405),
        ):
            answer = await client.request(method, path)
            assert answer.status_code == status, (method, path, answer.text)
            assert answer.json()["detail"].endswith(".")


async def test_metrics_name_routes_not_paths(gateway: Gateway) -> None:
    async with gateway.client() as client:
        await client.get("/v1/models/some/name/that/a/client/made/up")
        text = (await client.get("/metrics")).text
    assert 'route="/v1/models/{name:path}"' in text
    assert "made/up" not in text


async def test_pages_are_plain_while_the_web_interface_is_down(gateway: Gateway) -> None:
    async with gateway.client(None) as client:
        answer = await client.get("/")
    assert answer.status_code == 503
    assert "starting" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


async def test_readiness_names_the_engine(gateway: Gateway) -> None:
    async with gateway.client(None) as client:
        (engine,) = (await client.get("/readyz")).json()["engines"]
    assert engine["engine"] == "echo"


async def test_events_tell_the_state_and_every_change(
    store: Store, settings: ClusterSettings
) -> None:
    await Registry(store).put_deployment(deployment())
    seen = []
    async with (
        serving(gateway_settings(settings), store) as gateway,
        gateway.client(Scope.ADMIN) as client,
        client.stream("GET", "/api/v1/events") as answer,
        asyncio.timeout(20),
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                seen.append(line)
            if len(seen) == 1:
                changed = deployment().model_copy(update={"detail": "It is being changed."})
                await Registry(store).put_deployment(changed)
            if seen and "It is being changed." in seen[-1]:
                break
    assert len(seen) > 1


async def upload(client: httpx.AsyncClient, config: bytes, **data: str) -> httpx.Response:
    files = {
        "adapter_config.json": ("adapter_config.json", config),
        "adapter_model.safetensors": ("adapter_model.safetensors", b"weights"),
    }
    return await client.post("/api/v1/adapters", data=data, files=files)


async def test_uploads_of_adapters_are_checked(gateway: Gateway) -> None:
    good = b'{"peft_type": "LORA", "r": 8}'
    await gateway.state.registry.put_model(ModelRecord(name=MODEL, origin="local"))
    await gateway.state.cache.refresh()
    async with gateway.client(Scope.ADMIN) as client:
        for config, name, word in (
            (b"{", "x", "JSON"),
            (b'{"peft_type": "LORA", "r": 0}', "x", "rank"),
            (b'{"peft_type": "IA3"}', "x", "LORA"),
            (good, "auto", "auto"),
            (good, "../x", "../x"),
        ):
            answer = await upload(client, config, model=MODEL, name=name)
            assert answer.status_code == 400, answer.text
            assert word in answer.json()["detail"]
        answer = await upload(client, good, model="none/such", name="x")
        assert (answer.status_code, "none/such" in answer.json()["detail"]) == (400, True)
        answer = await client.post("/api/v1/adapters", data={"model": "m", "name": "x"})
        assert answer.status_code == 400
        assert "adapter_config.json" in answer.json()["detail"]


async def test_who_may_not_upload_is_refused_before_the_body(gateway: Gateway) -> None:
    async with gateway.client() as client:
        answer = await upload(client, b"{}", model="m", name="x")
    assert answer.status_code == 403


async def test_bodies_of_every_route_are_bounded(gateway: Gateway) -> None:
    body = b"x" * (gateway.state.settings.max_body_bytes + 1)
    async with gateway.client(None) as client:
        for path in ("/api/v1/session", "/api/v1/tokens", "/v1/chat/completions"):
            answer = await client.post(path, content=body)
            assert answer.status_code in (401, 413), (path, answer.status_code)


async def test_a_head_of_any_length_is_not_read(gateway: Gateway) -> None:
    async with gateway.client(None) as client:
        try:
            answer = await client.get("/healthz", headers={"X-Long": "x" * 1_000_000})
            assert answer.status_code == 400
        except (httpx.ReadError, httpx.WriteError):
            pass  # closed on us while we were still sending
        assert (await client.get("/healthz")).status_code == 200


async def test_head_is_answered_as_get_without_a_body(gateway: Gateway) -> None:
    async with gateway.client() as client:
        for path in ("/healthz", "/readyz", "/v1/models", "/refact-caps"):
            answer = await client.head(path)
            assert (answer.status_code, answer.content) == (200, b""), path
        assert (await client.head("/v1/nothing")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/models", "GET, HEAD"),
        ("GET", "/v1/completions", "POST"),
        ("HEAD", "/v1/completions", "POST"),
        ("PUT", "/api/v1/projects", "GET, HEAD, POST"),
        ("POST", "/api/v1/projects/p", "DELETE, GET, HEAD, PATCH"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    gateway: Gateway, method: str, path: str, allowed: str
) -> None:
    async with gateway.client(Scope.ADMIN) as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/completions", {"prompt": "a", "max_tokens": "3"}, "max_tokens"),
        ("/v1/completions", {"prompt": "a", "stream": 1}, "stream"),
        ("/v1/chat/completions", {"messages": [], "temperature": "0"}, "temperature"),
        ("/v1/messages", {"messages": [], "max_tokens": True}, "max_tokens"),
        ("/v1/embeddings", {"input": "a", "dimensions": "3"}, "dimensions"),
        ("/api/v1/deployments", {"model": "m", "num_replicas": "2"}, "num_replicas"),
        ("/api/v1/projects", {"name": "p", "manual_scans": "yes"}, "manual_scans"),
        ("/api/v1/tokens", {"name": "t", "expires_at": "0"}, "expires_at"),
        ("/api/v1/tokens", {"name": "t", "team": "a"}, "team"),
        ("/api/v1/session", {"link": "l", "next": "/"}, "next"),
    ],
)
async def test_a_field_of_another_kind_or_name_is_refused(
    gateway: Gateway, path: str, body: dict[str, object], field: str
) -> None:
    async with gateway.client(Scope.ADMIN) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 400, answer.text
    assert field in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/%00", "/a%09b", "/%7f", "/%ff", "/a?b=%00"])
async def test_odd_paths_are_no_fault(gateway: Gateway, path: str) -> None:
    async with gateway.client(None) as client:
        assert (await client.get(path)).status_code in (404, 503)


async def test_a_gateway_that_stops_ends_its_answers_with_an_error(gateway: Gateway) -> None:
    body = {"prompt": "abc", "max_tokens": 4000, "stream": True}
    lines = []
    async with (
        gateway.client() as client,
        client.stream("POST", "/v1/completions", json=body) as answer,
    ):
        async for line in answer.aiter_lines():
            lines += [line] if line.startswith("data: ") else []
            if len(lines) == 3:
                gateway.state.ending.set()
    assert "being stopped" in lines[-1]
    assert "data: [DONE]" not in lines


async def test_the_documents_are_written_once_and_hold_nobody_up(gateway: Gateway) -> None:
    """Whoever has no token may ask for them, as often as they like."""
    began = time.monotonic()
    document.administration(create_app().routes)
    seconds = time.monotonic() - began
    silent, heard_at = 0.0, time.monotonic()
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        asked = [client.get("/api/v1/openapi.json", timeout=60) for _ in range(10)]
        answers = asyncio.ensure_future(asyncio.gather(*asked))
        while not answers.done():
            await asyncio.sleep(0.005)
            silent, heard_at = max(silent, time.monotonic() - heard_at), time.monotonic()
        first, *others = await answers
    assert first.status_code == 200
    assert all(other.content == first.content for other in others)
    assert len(gateway.state.documents) == 1
    assert silent < seconds / 2
