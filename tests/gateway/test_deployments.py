"""/api/v1/deployments over a real agent's servicer; no replica is started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.cluster.devices.assignments import Devices
from services.cluster.devices.records import GIB, DeviceRecord
from services.cluster.identity import Scope
from services.cluster.records import ModelRecord
from services.cluster.store.connection import Store
from services.inference.agent.catalogue import Catalogue
from services.inference.agent.deployments import Deployments
from services.inference.agent.replica_logs import ReplicaLogs
from services.inference.agent.servicer import InferenceServicer
from services.inference.settings import InferenceSettings
from services.inference.weights.model_weights import model_weights
from tests.gateway.conftest import Gateway
from tests.gateway.services import behind

MODEL = ModelRecord(
    name="a/7b",
    origin="local",
    num_parameters=7_000_000_000,
    weights_bytes=14_000_000_000,
    context_tokens=32768,
    kv_values_per_token=2 * 28 * 4 * 128,
    num_layers=28,
    num_heads=28,
    num_kv_heads=4,
)
PATH = "/api/v1/deployments"


@pytest_asyncio.fixture
async def administered(gateway: Gateway, store: Store, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A host with 4 GPUs, a model, and an agent that answers."""
    state, devices = gateway.state, Devices(store)
    await state.registry.put_model(MODEL)
    gpus = [
        DeviceRecord(
            device_id=f"g{n}", host_id="here", kind="cuda", name="gpu", total_bytes=24 * GIB
        )
        for n in range(4)
    ]
    await devices.publish("here", gpus)
    volume = InferenceSettings(data_dir=tmp_path, host_id="here", hub_url="")
    weights = model_weights(store, state.registry, volume, "agent", {})
    servicer = InferenceServicer(
        state.registry,
        state.cache,
        devices,
        Catalogue(state.registry, "here"),
        Deployments(state.registry, state.cache, devices, InferenceSettings()),
        ReplicaLogs(tmp_path / "logs", "here"),
        weights,
    )
    async with behind(gateway, "inference", servicer):
        yield gateway
    await weights.close()


async def test_a_deployment_is_made_changed_and_deleted(administered: Gateway) -> None:
    async with administered.client(Scope.ADMIN) as client:
        wanted = {"model": "a/7b", "deployment_id": "d", "max_running_requests": 8}
        made = await client.post(PATH, json=wanted)
        assert made.status_code == 201, made.text
        assert (made.json()["max_running_requests"], made.json()["quantization"]) == (8, "")
        assert (await client.post(PATH, json=wanted)).status_code == 409

        changes = {"quantization": "fp8", "devices_per_replica": 2}
        changed = await client.patch(f"{PATH}/d", json=changes)
        assert changed.status_code == 200, changed.text
        shown = (await client.get(f"{PATH}/d")).json()
        assert {name: shown[name] for name in changes} == changes
        assert shown["max_running_requests"] == 8, "what is left out stays"
        assert shown["created_at"] == made.json()["created_at"]

        assert (await client.post(f"{PATH}/d/restart")).json()["deployment_id"] == "d"
        assert (await client.post(f"{PATH}/other/restart")).status_code == 404
        assert (await client.delete(f"{PATH}/d")).status_code == 204
        assert (await client.get(f"{PATH}/d")).status_code == 404
        assert (await client.patch(f"{PATH}/d", json=changes)).status_code == 404


async def test_a_plan_says_what_fits_and_how(administered: Gateway) -> None:
    async with administered.client(Scope.ADMIN) as client:
        three = (
            await client.post(f"{PATH}/plan", json={"model": "a/7b", "devices_per_replica": 3})
        ).json()
        assert (three["fits"], three["tensor_parallel"], three["pipeline_parallel"]) == (True, 1, 3)
        assert "pipeline parallel" in three["sharding_reason"]
        assert three["device_counts"][:4] == [1, 2, 3, 4]
        assert len(three["replicas"][0]["device_ids"]) == 3
        eight = (
            await client.post(f"{PATH}/plan", json={"model": "a/7b", "devices_per_replica": 8})
        ).json()
        assert not eight["fits"]
        assert "needs 8 cuda device(s)" in eight["refusal"]
        assert "Set devices_per_replica to 4." in eight["advice"]
        assert [d["deployment_id"] for d in (await client.get(PATH)).json()] == ["d1"]


async def test_the_log_of_a_replica_is_read_and_followed(
    administered: Gateway, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir(exist_ok=True)
    (logs / "replica-d-0.out").write_text("Traceback\n")
    (logs / "replica-d-0.log").write_text("one\ntwo\n")
    path = "/api/v1/replicas/d-0/log"
    async with administered.client(Scope.ADMIN) as client:
        answer = await client.get(path, params={"num_lines": 1})
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text == 'event: lines\ndata: {"lines":["two"]}\n\n'
        assert "Traceback" in (await client.get(path, params={"printed": True})).text
        assert (await client.get("/api/v1/replicas/d-9/log")).status_code == 404
        async with client.stream("GET", path, params={"follow": True}) as following:
            lines = following.aiter_lines()
            while "two" not in await anext(lines):
                pass
            with (logs / "replica-d-0.log").open("a") as log:
                log.write("three\n")
            async with asyncio.timeout(10):
                while "three" not in await anext(lines):
                    pass


@pytest.mark.parametrize(
    ("changes", "status", "param", "words"),
    [
        ({"context_tokens": 40000}, 400, "context_tokens", "takes at most 32768"),
        ({"devices_per_replica": 5, "model": "a/7b"}, 409, None, "needs 5 cuda device(s)"),
        ({"device_bytes": 30 * GIB}, 409, None, "30.0 GiB each"),
        ({"device_bytes": 8 * GIB}, 400, "device_bytes", "weights need 13.04 GiB"),
        ({"quantization": "bitsandbytes"}, 400, "quantization", "use fp8"),
        ({"num_replicas": 0, "speculative_tokens": 99}, 400, "speculative_tokens", "0 to 16"),
        ({"sharding": 3}, 400, "sharding", "sharding"),
        ({"adapter_policy": "best"}, 400, "adapter_policy", "latest_best"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_left(
    administered: Gateway, changes: dict[str, object], status: int, param: str | None, words: str
) -> None:
    async with administered.client(Scope.ADMIN) as client:
        answer = await client.post(PATH, json={"model": "a/7b", **changes})
        assert answer.status_code == status, answer.text
        assert words in answer.text
        if param:
            assert param in answer.text
        assert [d["deployment_id"] for d in (await client.get(PATH)).json()] == ["d1"]
