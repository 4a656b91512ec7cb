"""Who may do what: every route says so, and is held to it."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from pydantic import ValidationError

from services.cluster.identity import Identity, Scope
from services.cluster.records import AdapterRecord
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from services.gateway import auth
from services.gateway.app import create_app
from tests.gateway.conftest import MODEL, EchoReplica, Gateway, gateway_settings, serving

PUBLIC = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/tokenizer/{name:path}",
    "/api/v1/session",  # signing in
    "/api/v1/openapi.json",
    "/v1/openapi.json",
    "/{path:path}",  # the web interface
}


def test_every_route_declares_its_scope() -> None:
    assert auth.undeclared(create_app().routes) == []


def test_a_route_without_a_scope_is_found() -> None:
    router = APIRouter()

    @router.get("/open")
    async def leak() -> None: ...

    app = FastAPI(openapi_url=None)
    app.include_router(router)
    assert "/open" in auth.undeclared(app.routes)


def test_public_routes_are_the_known_ones() -> None:
    public = {
        route.path
        for route in create_app().routes
        if isinstance(route, APIRoute)
        and any(dependency.call is auth.ANYBODY for dependency in route.dependant.dependencies)
    }
    assert public == PUBLIC


def administrator_routes() -> list[tuple[str, str]]:
    """Method and path of every one, with something for its parameters."""
    return [
        (method, re.sub(r"{[^}]+}", "1", route.path))
        for route in create_app().routes
        if isinstance(route, APIRoute)
        and any(dependency.call is auth.ADMIN for dependency in route.dependant.dependencies)
        for method in route.methods
    ]


def test_all_of_the_administration_is_for_administrators() -> None:
    others = {
        route.path
        for route in create_app().routes
        if isinstance(route, APIRoute)
        and route.path.startswith("/api/")
        and not any(dependency.call is auth.ADMIN for dependency in route.dependant.dependencies)
    }
    assert others == {
        "/api/v1/session",
        "/api/v1/tokens",
        "/api/v1/tokens/{token_id}",
        "/api/v1/toolbox",  # what is run in a chat
        "/api/v1/openapi.json",
    }


async def test_a_token_of_a_plugin_administers_nothing(gateway: Gateway) -> None:
    assert len(administrator_routes()) > 30
    async with gateway.client() as client:
        for method, path in administrator_routes():
            answer = await client.request(method, path)
            assert answer.status_code == 403, (method, path, answer.text)
            assert "scope" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/completions", Scope.MODELS_READ),
        ("GET", "/api/v1/tokens", Scope.COMPLETIONS),
        ("GET", "/api/v1/cluster", Scope.COMPLETIONS),
        ("GET", "/api/v1/events", Scope.COMPLETIONS),
        ("POST", "/api/v1/adapters", Scope.COMPLETIONS),
        ("PUT", "/api/v1/deployments/d/adapters/a", Scope.COMPLETIONS),
    ],
)
async def test_without_the_scope_it_is_refused(
    gateway: Gateway, method: str, path: str, scope: Scope
) -> None:
    async with gateway.client(scope) as client:
        answer = await client.request(method, path)
    assert answer.status_code == 403
    assert "scope" in answer.json()["detail"]
    async with gateway.client(None) as client:
        answer = await client.request(method, path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_wrong_token_is_refused_and_a_revoked_one_within_a_second(
    gateway: Gateway, store: Store
) -> None:
    async with gateway.client(None) as client:
        for shown in ("Bearer nonsense", "Basic abc", f"Bearer {gateway.tokens[Scope.ADMIN]}x"):
            answer = await client.get("/v1/models", headers={"Authorization": shown})
            assert answer.status_code == 401, shown
    token_id = gateway.tokens[Scope.COMPLETIONS].split("_")[1]
    await Identity(store).revoke_token(token_id)
    async with gateway.client() as client, asyncio.timeout(2):
        while (await client.get("/v1/models")).status_code != 401:
            await asyncio.sleep(0.05)


async def test_a_token_is_taken_in_anthropics_header_as_well(gateway: Gateway) -> None:
    token = gateway.tokens[Scope.MODELS_READ]
    async with gateway.client(None) as client:
        for headers, status in (
            ({"x-api-key": token}, 200),
            ({"x-api-key": f"{token}x"}, 401),
            ({"x-api-key": ""}, 401),
            ({"x-api-key": token, "Authorization": "Bearer nonsense"}, 401),
            ({"x-api-key": "nonsense", "Authorization": f"Bearer {token}"}, 200),
        ):
            answer = await client.get("/v1/models", headers=headers)
            assert answer.status_code == status, headers
        answer = await client.get("/api/v1/cluster", headers={"x-api-key": token})
        assert answer.status_code == 403


async def test_open_completions_let_anybody_complete_and_no_more(
    store: Store, settings: ClusterSettings, replica: EchoReplica
) -> None:
    async with (
        serving(gateway_settings(settings, open_completions=True), store) as gateway,
        gateway.client(None) as client,
    ):
        client.headers["Authorization"] = "Bearer any-will-work-for-local-server"
        body = {"prompt": "x", "max_tokens": 1}
        assert (await client.post("/v1/completions", json=body)).status_code == 200
        assert (await client.get("/refact-caps")).status_code == 200
        assert (await client.get("/api/v1/cluster")).status_code == 401


async def sign_in(gateway: Gateway, client: httpx.AsyncClient) -> str:
    """The session's CSRF token."""
    link = await gateway.state.identity.create_sign_in_link()
    answer = await client.post("/api/v1/session", json={"link": link})
    assert answer.status_code == 200, answer.text
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    again = await client.post("/api/v1/session", json={"link": link})
    assert again.status_code == 401
    return str(answer.json()["csrf_token"])


async def test_a_session_needs_its_csrf_token_to_change_anything(gateway: Gateway) -> None:
    async with gateway.client(None) as client:
        csrf = await sign_in(gateway, client)
        assert (await client.get("/api/v1/session")).json()["user"]["name"] == "admin"
        assert (await client.get("/api/v1/cluster")).status_code == 200
        new = {"name": "laptop", "scopes": ["completions"]}
        assert (await client.post("/api/v1/tokens", json=new)).status_code == 403
        proof = {"X-CSRF-Token": csrf}
        made = await client.post("/api/v1/tokens", json=new, headers=proof)
        assert made.status_code == 201
        assert made.json()["token"].startswith("hearth_")
        elsewhere = {**proof, "Origin": "http://evil.example"}
        assert (await client.post("/api/v1/tokens", json=new, headers=elsewhere)).status_code == 403
        place = f"/api/v1/tokens/{made.json()['token_id']}"
        assert (await client.delete(place, headers=proof)).status_code == 204
        assert (await client.delete(place, headers=proof)).status_code == 404
        assert (await client.delete("/api/v1/session", headers=proof)).status_code == 204
        assert (await client.get("/api/v1/session")).status_code == 401


async def test_signing_in_is_rate_limited(gateway: Gateway) -> None:
    async with gateway.client(None) as client:
        statuses = [
            (await client.post("/api/v1/session", json={"link": f"guess-{number}"})).status_code
            for number in range(12)
        ]
    assert statuses[:10] == [401] * 10
    assert statuses[10:] == [429] * 2


async def guesses(gateway: Gateway, forwarded_for: str) -> list[int]:
    headers = {"X-Forwarded-For": forwarded_for}
    async with gateway.client(None) as client:
        return [
            (
                await client.post("/api/v1/session", json={"link": f"g-{n}"}, headers=headers)
            ).status_code
            for n in range(11)
        ]


async def test_guesses_are_counted_by_whom_a_trusted_proxy_names(
    settings: ClusterSettings, store: Store
) -> None:
    trusting = gateway_settings(settings, trusted_proxies="127.0.0.0/8, ::1")
    async with serving(trusting, store) as gateway:
        assert await guesses(gateway, "203.0.113.1") == [401] * 10 + [429]
        assert await guesses(gateway, "203.0.113.2") == [401] * 10 + [429]
        # What the client itself said before the proxy added to it counts for nothing.
        assert await guesses(gateway, "198.51.100.7, 203.0.113.2") == [429] * 11


async def test_nobody_else_may_say_who_asks(gateway: Gateway) -> None:
    assert await guesses(gateway, "203.0.113.1") == [401] * 10 + [429]
    assert await guesses(gateway, "203.0.113.2") == [429] * 11


@pytest.mark.parametrize("places", ["*", "proxy.local", "10.0.0.1/8"])
def test_proxies_are_addresses(settings: ClusterSettings, places: str) -> None:
    with pytest.raises(ValidationError, match="addresses or networks"):
        gateway_settings(settings, trusted_proxies=places)


async def test_a_token_gives_no_more_than_its_maker_has(gateway: Gateway) -> None:
    async with gateway.client(Scope.ADMIN) as client:
        made = await client.post("/api/v1/tokens", json={"name": "x", "scopes": ["nonsense"]})
        assert made.status_code == 400
        assert "scopes" in made.json()["detail"]
        made = await client.post("/api/v1/tokens", json={"name": "x", "expires_at": 1.0})
        assert made.status_code == 400
        assert "past" in made.json()["detail"]


@pytest.mark.parametrize("never", ["Infinity", "NaN", "1e400", "1e20"])
async def test_an_expiry_that_is_no_time_is_refused(gateway: Gateway, never: str) -> None:
    """Once it was stored as null, and no token could be read any more."""
    body = f'{{"name": "x", "expires_at": {never}}}'
    async with gateway.client(Scope.ADMIN) as client:
        client.headers["Content-Type"] = "application/json"
        made = await client.post("/api/v1/tokens", content=body)
        assert made.status_code == 400, made.text
        assert (await client.get("/api/v1/tokens")).status_code == 200


async def test_a_record_that_cannot_be_read_harms_no_other(gateway: Gateway, store: Store) -> None:
    await store.redis.hset(Keys.TOKENS, "broken", '{"token_id": null}')
    await store.redis.xadd(Keys.TOKEN_EVENTS, {"token_id": "broken"})
    async with gateway.client(Scope.ADMIN) as client:
        assert (await client.get("/api/v1/tokens")).status_code == 200
        made = (await client.post("/api/v1/tokens", json={"name": "x"})).json()
        shown = {"Authorization": f"Bearer {made['token']}"}
        assert (await client.get("/v1/models", headers=shown)).status_code == 200
        place = f"/api/v1/tokens/{made['token_id']}"
        assert (await client.delete(place)).status_code == 204
        assert (await client.get("/v1/models", headers=shown)).status_code == 401


async def test_who_is_in_no_team_is_in_the_default_one(
    gateway: Gateway, replica: EchoReplica
) -> None:
    """What a project of theirs has made is offered to them, and not what another team's has."""
    adapters = [
        AdapterRecord(adapter_id=team, model=MODEL, name=team, team_id=team, rank=8, created_at=1)
        for team in (auth.DEFAULT_TEAM, "other")
    ]
    for adapter in adapters:
        await gateway.state.registry.put_adapter(adapter)
    loaded = {"loaded_adapter_ids": tuple(adapter.adapter_id for adapter in adapters)}
    await gateway.state.registry.put_replica(replica.state.record().model_copy(update=loaded))
    await gateway.state.cache.refresh()
    async with gateway.client() as client:
        listed = (await client.get("/v1/models")).json()["data"]
    names = [model["id"] for model in listed]
    assert names == [MODEL, f"{MODEL}:auto", f"{MODEL}:{auth.DEFAULT_TEAM}"]
