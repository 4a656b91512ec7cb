"""The server of the web interface: which answer which path gets, and how long it may be kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from services.webui.app import create_app

INDEX = "<!doctype html><title>Hearth</title>"


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    assets = tmp_path / "dist" / "assets"
    assets.mkdir(parents=True)
    (assets / "index-4f1c.js").write_text("export {};" * 1000)
    (tmp_path / "dist" / "index.html").write_text(INDEX)
    (tmp_path / "dist" / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("not of the build")
    return tmp_path / "dist"


@pytest_asyncio.fixture
async def client(dist: Path) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(dist))
    async with httpx.AsyncClient(transport=transport, base_url="http://webui") as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/", "/sign-in", "/playground", "/sources", "/finetune", "/projects/7/scans/latest"]
)
async def test_every_page_is_the_application(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.text) == (200, INDEX)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"


async def test_hashed_files_are_kept_for_ever(client: httpx.AsyncClient) -> None:
    answer = await client.get("/assets/index-4f1c.js")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["content-encoding"] == "gzip"


async def test_other_files_are_asked_for_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/favicon.svg")
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get("/favicon.svg", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/assets/index-0000.js",
        "/assets/gone",
        "/robots.txt",
        "/api/v1/nothing",
        "/v1/nothing",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
    ],
)
async def test_what_is_no_page_and_no_file_is_not_found(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"
    assert "<" not in answer.text


async def test_only_reading_is_allowed(client: httpx.AsyncClient) -> None:
    assert (await client.head("/playground")).status_code == 200
    assert (await client.post("/playground")).status_code == 405


async def test_scripts_come_from_this_server_only(client: httpx.AsyncClient) -> None:
    policy = (await client.get("/")).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy


async def test_health(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_says_how_to_build_what_is_missing(tmp_path: Path) -> None:
    transport = httpx.ASGITransport(create_app(tmp_path / "dist"))
    async with httpx.AsyncClient(transport=transport, base_url="http://webui") as client:
        answer = await client.get("/")
        assert answer.status_code == 503
        assert "make setup" in answer.text
        (tmp_path / "dist").mkdir()
        (tmp_path / "dist" / "index.html").write_text(INDEX)
        assert (await client.get("/")).text == INDEX
