"""Models and weights over HTTP, with the real agent's servicer and a hub of the test's own."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from services.cluster.devices.assignments import Devices
from services.cluster.identity import Scope
from services.cluster.registry import Registry
from services.cluster.store.connection import Store
from services.inference.agent.catalogue import Catalogue
from services.inference.agent.deployments import Deployments
from services.inference.agent.replica_logs import ReplicaLogs
from services.inference.agent.servicer import InferenceServicer
from services.inference.settings import InferenceSettings
from tests.gateway.conftest import Gateway
from tests.gateway.services import behind
from tests.inference.agent.specs import a_deployment
from tests.inference.models.model_folders import CONFIG, write_model
from tests.inference.weights.conftest import MODEL, host
from tests.inference.weights.hub_double import HubDouble, hub_double

HERE = f"/api/v1/models/{MODEL}"


@dataclass
class Scene:
    hub: HubDouble
    registry: Registry
    client: httpx.AsyncClient


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "origin" / "model")


@pytest_asyncio.fixture
async def scene(
    gateway: Gateway, store: Store, tmp_path: Path, folder: Path
) -> AsyncIterator[Scene]:
    registry, devices, cache = Registry(store), Devices(store), gateway.state.cache
    with hub_double() as hub:
        hub.add(MODEL, folder)
        async with host(store, hub, tmp_path / "volume") as here:
            servicer = InferenceServicer(
                registry,
                cache,
                devices,
                Catalogue(registry, "here", tmp_path / "starter"),
                Deployments(registry, cache, devices, InferenceSettings()),
                ReplicaLogs(tmp_path / "logs", "here"),
                here.weights,
            )
            async with (
                behind(gateway, "inference", servicer),
                gateway.client(Scope.ADMIN) as client,
            ):
                yield Scene(hub, registry, client)


def packed(folder: Path) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add(folder, "model")
    return made.getvalue()


async def test_a_model_is_added_downloaded_and_deleted(scene: Scene) -> None:
    added = await scene.client.post("/api/v1/models", json={"hub_id": MODEL})
    assert added.status_code == 201, added.text
    model = added.json()
    assert (model["name"], model["weights"]["state"], model["local_path"]) == (
        MODEL,
        "absent",
        "",
    )
    assert (model["origin"], model["supports_completion"]) == ("hub", True)
    started = await scene.client.post(f"{HERE}/download")
    assert started.status_code == 202, started.text
    assert started.json()["model"] == MODEL
    events = (await scene.client.get(f"{HERE}/download/events")).text
    assert "event: progress" in events
    assert (await scene.client.post(f"{HERE}/download/cancel")).status_code == 404
    await scene.registry.put_deployment(a_deployment("d", model=MODEL))
    refused = await scene.client.delete(f"{HERE}/weights")
    assert refused.status_code == 409
    assert "deployment d" in refused.json()["detail"]
    await scene.registry.delete_deployment("d")
    assert (await scene.client.delete(f"{HERE}/weights")).json()["freed_bytes"] > 0
    assert (await scene.client.delete(HERE)).status_code == 204
    assert (await scene.client.delete(HERE)).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"hub_id": "owner/other"}, 404, "There is no model owner/other"),
        ({"hub_id": MODEL, "revision": "v9"}, 404, "no revision v9"),
        ({"hub_id": MODEL, "local_path": "/x"}, 400, "not by both"),
        ({}, 400, "hub_id"),
        ({"local_path": "/no/where"}, 400, "no folder"),
        ({"hub_id": MODEL, "files": []}, 400, "files"),
        ({"hub_id": MODEL, "fim_family": "x"}, 400, "no fill-in-the-middle family 'x'"),
        ({"hub_id": MODEL, "context_tokens": -1}, 400, "context_tokens"),
    ],
)
async def test_what_cannot_be_added_is_told_why(
    scene: Scene, body: dict[str, object], status: int, words: str
) -> None:
    answer = await scene.client.post("/api/v1/models", json=body)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


async def test_what_is_said_of_a_model_is_kept_and_checked(scene: Scene, folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG | {"max_position_embeddings": None}))
    scene.hub.add(MODEL, folder)
    refused = await scene.client.post("/api/v1/models", json={"hub_id": MODEL})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "context_tokens")
    said = {"context_tokens": 512, "tool_parser": "hermes"}
    for origin in ({"hub_id": MODEL}, {"local_path": str(folder)}):
        added = await scene.client.post("/api/v1/models", json=origin | said)
        assert added.status_code == 201, added.text
        assert {name: added.json()[name] for name in said} == said
    other = await scene.client.post("/api/v1/models", json={"hub_id": MODEL, "context_tokens": 256})
    assert (other.json()["context_tokens"], other.json()["tool_parser"]) == (256, "")


async def test_an_upload_goes_through_and_its_hash_is_held(scene: Scene, folder: Path) -> None:
    body = packed(folder)
    path = "/api/v1/models/closed/model/weights"
    wrong = await scene.client.post(path, content=body, headers={"X-Content-SHA256": "0" * 64})
    assert wrong.status_code == 400
    assert "closed/model" not in (await scene.registry.view()).models
    right = {"X-Content-SHA256": hashlib.sha256(body).hexdigest()}
    said = {"context_tokens": 256}
    answer = await scene.client.post(path, content=body, headers=right, params=said)
    assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "present"
    record = (await scene.registry.view()).models["closed/model"]
    assert (record.origin, record.context_tokens) == ("upload", 256)


async def test_an_archive_that_is_no_model_is_refused(scene: Scene) -> None:
    answer = await scene.client.post("/api/v1/models/closed/model/weights", content=b"hello")
    assert answer.status_code == 400
    assert "no zip and no tar" in answer.json()["detail"]


async def test_an_upload_says_nothing_else_of_a_model(scene: Scene) -> None:
    path = "/api/v1/models/closed/model/weights"
    answer = await scene.client.post(path, content=b"hello", params={"contxt_tokens": 256})
    assert answer.status_code == 400
    assert "contxt_tokens" in answer.json()["detail"]
