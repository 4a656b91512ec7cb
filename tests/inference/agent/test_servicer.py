from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.cluster.devices.assignments import Devices
from services.cluster.errors import BadRequest, Conflict, NotFound
from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.registry import Registry
from services.cluster.registry_cache import RegistryCache
from services.cluster.store.connection import Store
from services.inference.agent.catalogue import Catalogue
from services.inference.agent.deployments import Deployments
from services.inference.agent.replica_logs import ReplicaLogs
from services.inference.agent.servicer import InferenceServicer
from services.inference.settings import InferenceSettings
from services.inference.weights.model_weights import model_weights
from tests.inference.models.model_folders import write_model


@pytest_asyncio.fixture
async def servicer(store: Store, tmp_path: Path) -> AsyncIterator[InferenceServicer]:
    registry, devices = Registry(store), Devices(store)
    cache = RegistryCache(registry)
    await cache.start()
    settings = InferenceSettings(data_dir=tmp_path, host_id="here", hub_url="")
    weights = model_weights(store, registry, settings, "agent", {})
    yield InferenceServicer(
        registry,
        cache,
        devices,
        Catalogue(registry, "here", tmp_path / "starter"),
        Deployments(registry, cache, devices, InferenceSettings()),
        ReplicaLogs(tmp_path / "logs", "here"),
        weights,
    )
    await weights.close()
    await cache.close()


async def add(servicer: InferenceServicer, name: str, folder: Path) -> pb.Model:
    request = pb.AddModelRequest(name=name, local_path=str(write_model(folder)))
    return await servicer.AddModel(request, None)


async def test_models_are_added_listed_in_pages_and_removed(
    servicer: InferenceServicer, tmp_path: Path
) -> None:
    for name in ("a/one", "a/two", "a/three"):
        added = await add(servicer, name, tmp_path / name)
        assert added.weights.state == pb.WEIGHTS_STATE_PRESENT
    names: list[str] = []
    request = pb.ListModelsRequest(page_size=2)
    while True:
        answer = await servicer.ListModels(request, None)
        names += [model.name for model in answer.models]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert names == ["a/one", "a/three", "a/two"]
    await servicer.RemoveModel(pb.RemoveModelRequest(name="a/one"), None)
    with pytest.raises(NotFound):
        await servicer.RemoveModel(pb.RemoveModelRequest(name="a/one"), None)


@pytest.mark.parametrize(
    ("request_", "error", "word"),
    [
        (pb.AddModelRequest(hub_id="Qwen/x"), Conflict, "HEARTH_HUB_URL is empty"),
        (pb.AddModelRequest(hub_id="a:b"), BadRequest, "no model name"),
        (pb.AddModelRequest(name="x"), BadRequest, "local_path"),
        (pb.AddModelRequest(local_path="/no/where"), BadRequest, "no folder"),
    ],
)
async def test_a_model_that_cannot_be_added_is_told_why(
    servicer: InferenceServicer, request_: pb.AddModelRequest, error: type[Exception], word: str
) -> None:
    with pytest.raises(error, match=word):
        await servicer.AddModel(request_, None)


@pytest.mark.parametrize("token", ["-1", "x", "٣"])
async def test_a_page_token_of_somebody_else(servicer: InferenceServicer, token: str) -> None:
    with pytest.raises(BadRequest, match="page_token"):
        await servicer.ListModels(pb.ListModelsRequest(page_token=token), None)


async def test_watching_begins_with_the_state_and_tells_each_change(
    servicer: InferenceServicer, tmp_path: Path
) -> None:
    await add(servicer, "a/one", tmp_path / "one")
    watching = aiter(servicer.WatchDeployments(pb.WatchDeploymentsRequest(), None))
    assert not (await anext(watching)).deployments
    wanted = pb.Deployment(deployment_id="d", model="a/one")
    await servicer.PutDeployment(pb.PutDeploymentRequest(deployment=wanted), None)
    assert [d.deployment_id for d in (await anext(watching)).deployments] == ["d"]
    listed = await servicer.ListDeployments(pb.ListDeploymentsRequest(), None)
    assert [d.model for d in listed.deployments] == ["a/one"]
    await servicer.DeleteDeployment(pb.DeleteDeploymentRequest(deployment_id="d"), None)
    assert not (await anext(watching)).deployments


async def test_a_plan_says_what_is_missing(servicer: InferenceServicer, tmp_path: Path) -> None:
    await add(servicer, "a/one", tmp_path / "one")
    wanted = pb.Deployment(model="a/one")
    plan = await servicer.PlanDeployment(pb.PlanDeploymentRequest(deployment=wanted), None)
    assert not plan.fits
    assert "No such device is known." in plan.refusal
    assert plan.overhead_bytes


async def test_a_model_is_added_with_what_a_person_says(
    servicer: InferenceServicer, tmp_path: Path
) -> None:
    request = pb.AddModelRequest(
        name="a/one",
        local_path=str(write_model(tmp_path / "one")),
        overrides=pb.ModelOverrides(context_tokens=1024, tool_parser="hermes"),
    )
    added = await servicer.AddModel(request, None)
    assert (added.context_tokens, added.tool_parser, added.kind) == (1024, "hermes", "local")
    request.overrides.context_tokens = 4096
    with pytest.raises(BadRequest, match="made for 2048 at most"):
        await servicer.AddModel(request, None)
