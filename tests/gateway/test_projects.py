"""Projects, sources, scans, verdicts and datasets by HTTP, on the real data scan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.cluster.identity import Scope
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.datascan.archives import zipped
from tests.gateway.conftest import Gateway
from tests.gateway.services import RealDatascan, behind, real_datascan

FILES = {
    "a.py": "import os\n\n\ndef f(x):\n    return x + os.getpid()\n",
    "logo.bin": "\0\1\2" * 50,
}


@pytest_asyncio.fixture
async def datascan(
    gateway: Gateway, store: Store, settings: ClusterSettings
) -> AsyncIterator[RealDatascan]:
    real = real_datascan(gateway, store, settings)
    async with behind(gateway, "datascan", real.servicer):
        yield real


@pytest_asyncio.fixture
async def client(gateway: Gateway, datascan: RealDatascan) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client(Scope.ADMIN) as client:
        yield client


async def made(client: httpx.AsyncClient, path: str, **body: Any) -> Any:
    answer = await client.post(f"/api/v1/{path}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def got(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def uploaded(client: httpx.AsyncClient, project_id: str, name: str, content: bytes) -> Any:
    path = f"/api/v1/projects/{project_id}/sources"
    answer = await client.post(path, params={"file_name": name}, content=content)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_project_is_made_changed_and_deleted(client: httpx.AsyncClient) -> None:
    project = await made(client, "projects", name="web", finetune_model="m/x")
    assert project["team_id"] == "default"
    assert (project["name"], project["manual_scans"], project["num_sources"]) == ("web", False, 0)
    assert project["created_at"] > 1e9
    place = f"/api/v1/projects/{project['project_id']}"
    changed = await client.patch(place, json={"manual_scans": True, "finetune_model": None})
    assert changed.json() == {
        **project,
        "manual_scans": True,
        "updated_at": changed.json()["updated_at"],
    }
    assert (await client.get(place)).json() == changed.json()
    assert (await client.post("/api/v1/projects", json={"name": "web"})).status_code == 409
    assert (await client.delete(place)).status_code == 204
    assert (await client.get(place)).status_code == 404


async def test_lists_have_pages(client: httpx.AsyncClient) -> None:
    for name in ("a", "b", "c"):
        await made(client, "projects", name=name)
    first = await got(client, "projects", page_size=2)
    assert [project["name"] for project in first["projects"]] == ["a", "b"]
    second = await got(client, "projects", page_size=2, page_token=first["next_page_token"])
    assert [project["name"] for project in second["projects"]] == ["c"]
    assert second["next_page_token"] == ""


async def test_a_source_becomes_a_dataset(
    client: httpx.AsyncClient, datascan: RealDatascan
) -> None:
    project_id = (await made(client, "projects", name="web", manual_scans=True))["project_id"]
    source = await uploaded(client, project_id, "code.zip", zipped(FILES))
    assert (source["kind"], source["phase"], source["split"]) == ("archive", "ready", "auto")
    assert (source["name"], source["scan_id"]) == ("code", "")
    async with datascan.working():
        scan = await made(client, f"projects/{project_id}/scans", from_scratch=True)
        assert (scan["trigger"], scan["dataset_id"]) == ("user", "")
        events = await client.get(f"/api/v1/scans/{scan['scan_id']}/events")
    assert "event: scan\n" in events.text
    scan = await got(client, f"scans/{scan['scan_id']}")
    assert (scan["status"], scan["error"], scan["phase"]) == ("succeeded", "", None)
    assert scan["counts"]["reasons"] == [{"reason": "not_text", "num_files": 1}]
    assert (await got(client, f"projects/{project_id}/scans"))["scans"] == [scan]
    dataset = await got(client, f"datasets/{scan['dataset_id']}")
    assert dataset["train"]["num_files"] + dataset["test"]["num_files"] == 1
    assert (await got(client, f"projects/{project_id}/datasets"))["datasets"] == [dataset]
    (listed,) = (await got(client, f"projects/{project_id}/sources"))["sources"]
    assert (listed["num_files"], listed["num_accepted_files"]) == (2, 1)
    project = await got(client, f"projects/{project_id}")
    assert project["latest_dataset_id"] == scan["dataset_id"]
    await read_verdicts(client, scan["scan_id"], source["source_id"])
    refused = await client.post(f"/api/v1/scans/{scan['scan_id']}/cancel")
    assert refused.status_code == 409


async def read_verdicts(client: httpx.AsyncClient, scan_id: str, source_id: str) -> None:
    async def numbers(**query: Any) -> list[int]:
        answer = await got(client, f"scans/{scan_id}/verdicts", **query)
        return [verdict["file_number"] for verdict in answer["verdicts"]]

    everything = await got(client, f"scans/{scan_id}/verdicts")
    code, logo = everything["verdicts"]
    assert (code["path"], code["accepted"], code["reason"]) == ("code/a.py", True, None)
    assert (logo["path"], logo["accepted"], logo["reason"]) == ("code/logo.bin", False, "not_text")
    assert (code["split"] in ("train", "test"), logo["split"]) == (True, None)
    assert await numbers(accepted=True) == [1]
    assert await numbers(reason=["not_text", "loss"]) == [2]
    assert await numbers(language="Python", source_id=source_id) == [1]
    assert await numbers(path_contains="LOGO") == [2]
    assert await numbers(min_loss=0.5) == []
    assert await numbers(order="path", descending=True) == [2, 1]
    first = await got(client, f"scans/{scan_id}/verdicts", page_size=1, order="size")
    token = first["next_page_token"]
    assert await numbers(page_size=1, order="size", page_token=token) == [2]
    file = await got(client, f"scans/{scan_id}/files/1")
    assert (file["text"], file["truncated"]) == (FILES["a.py"], False)
    assert file["verdict"] == code


async def test_a_source_is_changed_replaced_and_deleted(client: httpx.AsyncClient) -> None:
    project_id = (await made(client, "projects", name="web", manual_scans=True))["project_id"]
    source = await uploaded(client, project_id, "a.py", b"x = 1\n")
    place = f"/api/v1/sources/{source['source_id']}"
    changed = (await client.patch(place, json={"name": "mine", "split": "test"})).json()
    assert (changed["name"], changed["split"]) == ("mine", "test")
    query = {"file_name": "b.py", "replaced_source_id": source["source_id"]}
    path = f"/api/v1/projects/{project_id}/sources"
    replaced = await client.post(path, params=query, content=b"y = 22\n")
    assert replaced.json()["source_id"] == source["source_id"]
    assert (await client.get(place)).json()["fetched_bytes"] == 7
    assert (await client.delete(place)).status_code == 204
    assert (await client.get(place)).status_code == 404


async def test_changes_of_sources_are_told(client: httpx.AsyncClient) -> None:
    project_id = (await made(client, "projects", name="web", manual_scans=True))["project_id"]
    told: list[str] = []
    path = f"/api/v1/projects/{project_id}/sources/events"
    async with client.stream("GET", path) as answer, asyncio.timeout(20):
        assert answer.status_code == 200  # also of a project that has none yet
        source = await uploaded(client, project_id, "a.py", b"x = 1\n")
        await client.delete(f"/api/v1/sources/{source['source_id']}")
        async for line in answer.aiter_lines():
            told += [line] if line.startswith("event: ") else []
            if told and told[-1] == "event: deleted":
                break


REFUSED = [
    ("GET", "projects/none", {}, 404, "none"),
    ("GET", "projects?page_size=-1", {}, 400, "page_size"),
    ("GET", "projects?page_size=1001", {}, 400, "page_size"),
    ("GET", "projects?page_token=x", {}, 400, "page_token"),
    ("GET", f"projects?page_token={'9' * 5000}", {}, 400, "page_token"),
    ("POST", "projects", {}, 400, "name"),
    ("POST", "projects", {"name": "a b"}, 400, "a b"),
    ("POST", "projects", {"name": "\ud800"}, 400, "surrogate"),
    ("POST", "projects", {"name": "x", "colour": "red"}, 400, "colour"),
    ("PATCH", "projects/none", {"name": "x"}, 404, "none"),
    ("PATCH", "projects/none", {}, 400, "finetune_model"),
    ("DELETE", "projects/none", {}, 404, "none"),
    ("GET", "projects/none/sources", {}, 404, "none"),
    ("GET", "projects/none/sources/events", {}, 404, "none"),
    ("GET", "sources/none", {}, 404, "none"),
    ("PATCH", "sources/none", {"split": "both"}, 400, "split"),
    ("DELETE", "sources/none", {}, 404, "none"),
    ("POST", "projects/none/scans", {}, 404, "none"),
    ("GET", "projects/none/scans", {}, 404, "none"),
    ("GET", "scans/none", {}, 404, "none"),
    ("GET", "scans/none/events", {}, 404, "none"),
    ("GET", "scans/none/events?after=x", {}, 400, "after"),
    ("POST", "scans/none/cancel", {}, 404, "none"),
    ("GET", "scans/none/verdicts", {}, 404, "none"),
    ("GET", "scans/none/verdicts?reason=ugly", {}, 400, "reason"),
    ("GET", "scans/none/verdicts?order=beauty", {}, 400, "order"),
    ("GET", "scans/none/verdicts?min_loss=NaN", {}, 400, "min_loss"),
    ("GET", "scans/none/files/x", {}, 400, "file_number"),
    ("GET", "scans/none/files/0", {}, 400, "file_number"),
    ("GET", f"scans/none/files/{2**64}", {}, 400, "file_number"),
    ("GET", "projects/none/datasets", {}, 404, "none"),
    ("GET", "datasets/none", {}, 404, "none"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "word"), REFUSED)
async def test_what_cannot_be_is_told(
    client: httpx.AsyncClient, method: str, path: str, body: Any, status: int, word: str
) -> None:
    if method == "GET":
        answer = await client.get(f"/api/v1/{path}")
    else:
        content = ascii(body).replace("'", '"')
        headers = {"Content-Type": "application/json"}
        answer = await client.request(method, f"/api/v1/{path}", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert word in answer.json()["detail"]
    assert answer.json()["detail"].endswith(".")
