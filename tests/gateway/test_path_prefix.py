"""Behind a reverse proxy that shows Hearth at https://tools.example/hearth/."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute
from pydantic import ValidationError

from services.cluster.identity import Scope
from services.cluster.records import ProcessRecord
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.gateway.app import create_app
from services.gateway.routes.pages import EVERY_PATH
from services.gateway.settings import OWN_PLACES
from services.webui.app import create_app as create_webui
from tests.gateway.conftest import EchoReplica, Gateway, gateway_settings, serving
from tests.gateway.proxies import python_proxy, served

PREFIX = "/hearth"
PUBLIC = "https://tools.example/hearth"
SCRIPT = "/assets/index-4f1c.js"
BY_SETTING = {"public_url": PUBLIC}
BY_PROXY = {"trusted_proxies": "127.0.0.0/8"}
TOLD = {
    "X-Forwarded-Prefix": PREFIX,
    "X-Forwarded-Host": "tools.example",
    "X-Forwarded-Proto": "https",
}


@pytest_asyncio.fixture
async def webui(tmp_path: Path, store: Store) -> AsyncIterator[None]:
    """The real server of the pages, with a small build."""
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / SCRIPT[1:]).write_text("export {};")
    (dist / "index.html").write_text(f'<meta content="./" /><script src=".{SCRIPT}"></script>')
    async with served(create_webui(dist)) as address:
        await Registry(store).put_process(
            ProcessRecord(
                process_id="w1",
                service="webui",
                host_id="here",
                status="ready",
                http_address=address,
                started_at=1,
            )
        )
        yield


@pytest_asyncio.fixture(
    params=[
        (BY_SETTING, True, {}),
        (BY_SETTING, False, {}),
        (BY_PROXY, True, TOLD),
        (BY_PROXY, False, TOLD),
    ],
    ids=["set-stripped", "set-kept", "told-stripped", "told-kept"],
)
async def proxied(
    request: pytest.FixtureRequest,
    settings: ClusterSettings,
    store: Store,
    replica: EchoReplica,
    webui: None,
) -> AsyncIterator[Gateway]:
    """A gateway whose `url` is that of a proxy, which takes the prefix off or leaves it."""
    changes, strips, headers = request.param
    async with (
        serving(gateway_settings(settings, max_body_bytes=2000, **changes), store) as gateway,
        python_proxy(gateway.url, PREFIX, strips=strips, headers=headers) as url,
    ):
        yield Gateway(url + PREFIX, gateway.state, gateway.tokens)


async def sign_in(gateway: Gateway, client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    link = await gateway.state.identity.create_sign_in_link()
    return await client.post("/api/v1/session", json={"link": link}, headers=headers)


async def test_a_browser_signs_in_and_changes_something(proxied: Gateway) -> None:
    origin = {"Origin": "https://tools.example"}
    async with proxied.client(None) as client:
        made = await sign_in(proxied, client, **origin)
        assert made.status_code == 200, made.text
        cookie = made.headers["set-cookie"]
        assert f"Path={PREFIX};" in f"{cookie};"
        assert "Secure" in cookie
        client.headers["Cookie"] = cookie.partition(";")[0]  # it is Secure, and this is HTTP
        proof = {"X-CSRF-Token": made.json()["csrf_token"]}
        new = {"name": "laptop"}
        token = await client.post("/api/v1/tokens", json=new, headers={**proof, **origin})
        assert token.status_code == 201, token.text
        elsewhere = {**proof, "Origin": "https://evil.example"}
        assert (await client.post("/api/v1/tokens", json=new, headers=elsewhere)).status_code == 403
        ended = await client.delete("/api/v1/session", headers={**proof, **origin})
        assert ended.status_code == 204
        assert f"Path={PREFIX};" in f"{ended.headers['set-cookie']};"


@pytest.mark.parametrize("path", ["", "/", "/sign-in", "/tokens", "/index.html"])
async def test_pages_name_their_files_below_the_prefix(proxied: Gateway, path: str) -> None:
    async with httpx.AsyncClient() as client:
        page = await client.get(proxied.url + path)
        assert page.status_code == 200
        assert f'<meta content="{PREFIX}/" />' in page.text
        (script,) = re.findall(r'src="([^"]+)"', page.text)
        assert script == PREFIX + SCRIPT
        found = await client.get(proxied.url.removesuffix(PREFIX) + script)
        assert (found.status_code, found.text) == (200, "export {};")


async def test_apis_are_there_and_never_pages(proxied: Gateway) -> None:
    async with proxied.client() as client:
        answer = await client.post("/v1/completions", json={"prompt": "abc", "max_tokens": 2})
        assert answer.status_code == 200
        named = await client.get("/v1/models", headers={"X-Request-Id": "of-the-proxy"})
        assert named.headers["x-request-id"] == "of-the-proxy"
        assert (await client.get("/tabby/v1beta/server_setting")).status_code == 200
        for path in ("/v1/nothing", "/api/v1/nothing"):
            missing = await client.get(path)
            assert missing.status_code == 404
            assert missing.json()["detail"]


async def test_what_the_agent_is_offered_is_relative_to_where_it_asked(proxied: Gateway) -> None:
    async with proxied.client() as client:
        for place in ("/refact-caps", "/coding_assistant_caps.json"):
            asked = await client.get(place)
            caps = asked.json()
            assert asked.url.join(caps["endpoint_template"]).path == f"{PREFIX}/v1/completions"
            assert [text for text in texts(caps) if text.startswith("/")] == []


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in texts(part)]
    return [value] if isinstance(value, str) else []


async def test_the_document_names_its_server(proxied: Gateway, gateway: Gateway) -> None:
    async with proxied.client(None) as client:
        document = (await client.get("/api/v1/openapi.json")).json()
    assert document["servers"] == [{"url": PREFIX}]
    async with gateway.client(None) as client:
        assert "servers" not in (await client.get("/api/v1/openapi.json")).json()


async def test_events_come_as_they_happen(proxied: Gateway) -> None:
    async with (
        proxied.client(Scope.ADMIN) as client,
        client.stream("GET", "/api/v1/events") as events,
        asyncio.timeout(10),
    ):
        assert events.headers["x-accel-buffering"] == "no"
        lines = events.aiter_lines()
        assert "event: cluster" in [await anext(lines) for _ in range(3)]


async def test_the_bound_of_a_body_is_that_of_its_path(proxied: Gateway) -> None:
    """A prompt, or an upload of an adapter, may be longer than other bodies."""
    async with proxied.client(Scope.ADMIN) as client:
        long = {"prompt": "x" * 3000}
        assert (await client.post("/v1/events", json=long)).status_code == 413
        assert (await client.post("/v1/completions", json=long)).status_code == 200
        files = {"adapter_model.safetensors": b"x" * 3000}
        assert (await client.post("/api/v1/adapters", files=files)).status_code == 400


async def test_who_comes_past_the_proxy_is_served_as_well(
    settings: ClusterSettings, store: Store, webui: None
) -> None:
    async with (
        serving(gateway_settings(settings, **BY_SETTING), store) as gateway,
        gateway.client(Scope.ADMIN) as client,
    ):
        for path in ("", PREFIX):
            assert (await client.get(f"{path}/v1/nothing")).status_code == 404
            assert (await client.get(f"{path}/api/v1/cluster")).status_code == 200
            assert f'"{PREFIX}{SCRIPT}"' in (await client.get(f"{path}/tokens")).text
        assert (await client.get("/hearths/api/v1/cluster")).status_code == 200
        assert "<script" in (await client.get("/hearths/api/v1/cluster")).text, "a page"


async def test_only_a_trusted_proxy_says_where_hearth_is(
    settings: ClusterSettings, store: Store, webui: None
) -> None:
    trusting = gateway_settings(settings, trusted_proxies="10.0.0.0/8")
    async with serving(trusting, store) as gateway, gateway.client(None) as client:
        client.headers.update(TOLD)
        assert f'"{SCRIPT}"' in (await client.get("/tokens")).text
        refused = await sign_in(gateway, client, Origin="https://tools.example")
        assert refused.status_code == 403
        made = await sign_in(gateway, client, Origin=gateway.url)
        assert "Path=/;" in made.headers["set-cookie"]
        assert "Secure" not in made.headers["set-cookie"]


@pytest.mark.parametrize(
    "said", ['/"><script>', "//evil.example", "hearth", "/a/../b", "/a b", "/api", "/v1/x"]
)
async def test_a_prefix_that_is_none_is_not_written_into_a_page(
    settings: ClusterSettings, store: Store, webui: None, said: str
) -> None:
    async with (
        serving(gateway_settings(settings, **BY_PROXY), store) as gateway,
        gateway.client(None) as client,
    ):
        page = await client.get("/tokens", headers={"X-Forwarded-Prefix": said})
        assert f'src="{SCRIPT}"' in page.text


async def test_the_nearest_proxy_is_believed(
    settings: ClusterSettings, store: Store, webui: None
) -> None:
    async with (
        serving(gateway_settings(settings, **BY_PROXY), store) as gateway,
        gateway.client(None) as client,
    ):
        client.headers["X-Forwarded-Host"] = "evil.example, tools.example"
        refused = await sign_in(gateway, client, Origin="https://evil.example")
        assert refused.status_code == 403
        made = await sign_in(gateway, client, Origin="https://tools.example")
        assert made.status_code == 200


def test_the_sign_in_link_is_below_the_prefix(settings: ClusterSettings) -> None:
    own = gateway_settings(settings, public_url=f"{PUBLIC}/")
    assert own.url == PUBLIC
    assert own.path_prefix == PREFIX
    assert gateway_settings(settings, public_url="http://hearth.example:8008").path_prefix == ""


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("tools.example/hearth", "must be an address"),
        ("ftp://tools.example", "must be an address"),
        ("https:///hearth", "must be an address"),
        ("https://tools.example/hearth?x=1", "must be an address"),
        ("https://tools.example/hearth#x", "must be an address"),
        ("https://a:b@tools.example", "must be an address"),
        ("https://tools.example/he%20arth", "letters, digits"),
        ("https://tools.example//hearth", "letters, digits"),
        ("https://tools.example/../hearth", "letters, digits"),
        ("https://tools.example/v1", "begins with /v1"),
        ("https://tools.example/api/hearth", "begins with /api"),
    ],
)
def test_a_public_url_is_an_address(settings: ClusterSettings, url: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        gateway_settings(settings, public_url=url)


def test_no_prefix_can_be_taken_for_a_path_of_ours() -> None:
    """A new first part of a path goes into OWN_PLACES."""
    first = {
        route.path.split("/")[1]
        for route in create_app().routes
        if isinstance(route, APIRoute) and route.path != EVERY_PATH
    }
    assert first <= OWN_PLACES, first - OWN_PLACES
