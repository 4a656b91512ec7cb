"""Deployments on a real registry, without an agent that answers them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.cluster.devices.assignments import Devices
from services.cluster.devices.records import GIB
from services.cluster.errors import BadRequest, DeadlineExceeded, NotFound
from services.cluster.records import AdapterPolicy, AdapterRecord, DeploymentPhase, ModelRecord
from services.cluster.registry import ClusterView, Registry
from services.cluster.registry_cache import RegistryCache
from services.cluster.store.connection import Store
from services.inference.agent.catalogue import STARTER
from services.inference.agent.deployments import Deployments
from services.inference.settings import InferenceSettings
from tests.inference.agent.specs import MODEL, a_deployment, a_device, a_replica


class Wanted:
    """A registry with a device, a model and an adapter, and the deployments on top of it."""

    def __init__(self, store: Store) -> None:
        self.registry = Registry(store)
        self.cache = RegistryCache(self.registry)
        self.devices = Devices(store)
        self.deployments = Deployments(self.registry, self.cache, self.devices, InferenceSettings())


@pytest_asyncio.fixture
async def wanted(store: Store) -> AsyncIterator[Wanted]:
    wanted = Wanted(store)
    await wanted.devices.publish("here", [a_device("cpu-here", gib=8, kind="cpu")])
    await wanted.registry.put_model(MODEL)
    await wanted.registry.put_adapter(
        AdapterRecord(adapter_id="a", model=MODEL.name, name="n", rank=8, created_at=1.0)
    )
    await wanted.cache.start()
    yield wanted
    await wanted.cache.close()


async def test_the_first_deployment_is_made_once(wanted: Wanted) -> None:
    made = await asyncio.gather(*(wanted.deployments.ensure_first() for _ in range(4)))
    assert sorted(made) == [False, False, False, True]
    record = next(iter((await wanted.registry.view()).deployments.values()))
    assert record.model == STARTER
    assert 0 < record.device_bytes < 4 * GIB, "a run must fit beside it"
    await wanted.deployments.delete(record.deployment_id)
    assert not await wanted.deployments.ensure_first(), "an administrator deleted it"


async def test_no_first_deployment_where_there_was_another(wanted: Wanted) -> None:
    record = await wanted.deployments.put(a_deployment(""))
    await wanted.deployments.delete(record.deployment_id)
    assert not await wanted.deployments.ensure_first()


async def test_put_makes_and_replaces(wanted: Wanted) -> None:
    made = await wanted.deployments.put(a_deployment(""))
    assert made.deployment_id.startswith("model-")
    assert made.phase is DeploymentPhase.PENDING
    await wanted.registry.change_deployment(
        made.deployment_id, lambda r: r.model_copy(update={"phase": DeploymentPhase.READY})
    )
    changed = await wanted.deployments.put(a_deployment(made.deployment_id, num_replicas=3))
    assert changed.num_replicas == 3
    assert changed.created_at == made.created_at < changed.updated_at
    assert changed.phase is DeploymentPhase.READY, "the agent says what becomes of it"
    assert (await wanted.registry.view()).deployments == {made.deployment_id: changed}


async def test_a_change_that_replicas_cannot_follow_is_a_new_edition(wanted: Wanted) -> None:
    await wanted.deployments.put(a_deployment())

    async def edition(**changes: object) -> int:
        return (await wanted.deployments.put(a_deployment(**changes))).edition  # type: ignore[arg-type]

    assert await edition() == 0
    assert await edition(num_replicas=2, yields_to_runs=True, adapter_ids=("a",)) == 0
    assert await edition(context_tokens=512) == 1
    assert await edition(context_tokens=512) == 1
    assert await edition(max_running_requests=3) == 2
    assert (await wanted.deployments.restart("d")).edition == 3
    with pytest.raises(NotFound):
        await wanted.deployments.restart("nothing")


async def test_a_change_undoes_no_other_that_came_meanwhile(wanted: Wanted) -> None:
    await wanted.deployments.put(a_deployment())
    change = wanted.deployments.change
    await asyncio.gather(
        change(a_deployment(adapter_policy=AdapterPolicy.OFF), ["adapter_policy"]),
        change(a_deployment(adapter_ids=("a",)), ["adapter_ids"]),
        change(a_deployment(num_replicas=2), ["num_replicas"]),
    )
    record = (await wanted.registry.view()).deployments["d"]
    assert record.adapter_policy is AdapterPolicy.OFF
    assert (record.adapter_ids, record.num_replicas) == (("a",), 2)
    with pytest.raises(BadRequest, match="phase"):
        await change(a_deployment(), ["phase"])
    with pytest.raises(NotFound):
        await change(a_deployment("nothing"), ["num_replicas"])


async def test_too_small_a_share_is_refused(wanted: Wanted) -> None:
    with pytest.raises(BadRequest, match="too few"):
        await wanted.deployments.put(a_deployment("", device_bytes=1000))


async def test_a_plan_changes_nothing(wanted: Wanted) -> None:
    plan = await wanted.deployments.plan(a_deployment("", device_bytes=3 * GIB))
    assert plan.refusal == ""
    assert plan.placed[0].device_ids == ("cpu-here",)
    plan = await wanted.deployments.plan(a_deployment("", num_replicas=2))
    assert len(plan.placed) == 1
    assert "(all)" in plan.refusal
    assert (await wanted.deployments.plan(a_deployment("", device_bytes=1))).refusal
    assert (await wanted.devices.snapshot()).assignments == ()
    assert (await wanted.registry.view()).deployments == {}


async def test_what_is_not_there(wanted: Wanted) -> None:
    with pytest.raises(NotFound, match="no deployment"):
        await wanted.deployments.delete("nothing")
    with pytest.raises(NotFound, match="no deployment"):
        await wanted.deployments.add_adapter("nothing", "a", 0)
    await wanted.deployments.put(a_deployment())
    with pytest.raises(NotFound, match="no adapter"):
        await wanted.deployments.add_adapter("d", "nothing", 0)
    with pytest.raises(NotFound, match="no adapter"):
        await wanted.deployments.remove_adapter("d", "nothing", 0)


@pytest.mark.parametrize("seconds", [-1.0, 121.0, float("nan"), float("inf")])
async def test_a_wait_has_limits(wanted: Wanted, seconds: float) -> None:
    with pytest.raises(BadRequest, match="wait_seconds"):
        await wanted.deployments.add_adapter("d", "a", seconds)


async def test_an_adapter_is_awaited_on_every_ready_replica(wanted: Wanted) -> None:
    await wanted.deployments.put(a_deployment(num_replicas=2))
    for replica_id in ("d-0", "d-1"):
        await wanted.registry.put_replica(a_replica(replica_id))
    adding = asyncio.create_task(wanted.deployments.add_adapter("d", "a", 30))
    await wanted.registry.put_replica(a_replica("d-0", loaded_adapter_ids=("a",)))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(adding), 0.2)
    await wanted.registry.put_replica(a_replica("d-1", loaded_adapter_ids=("a",)))
    assert (await asyncio.wait_for(adding, 10)).adapter_ids == ("a",)

    removing = asyncio.create_task(wanted.deployments.remove_adapter("d", "a", 30))
    for replica_id in ("d-0", "d-1"):
        await wanted.registry.put_replica(a_replica(replica_id))
    assert (await asyncio.wait_for(removing, 10)).adapter_ids == ()


async def test_a_late_replica_is_named_and_the_adapter_stays_wanted(wanted: Wanted) -> None:
    await wanted.deployments.put(a_deployment())
    await wanted.registry.put_replica(a_replica())
    with pytest.raises(DeadlineExceeded, match="d-0 did not load adapter a"):
        await wanted.deployments.add_adapter("d", "a", 0.1)
    assert (await wanted.registry.view()).deployments["d"].adapter_ids == ("a",)


async def test_an_adapter_that_a_replica_cannot_load_is_refused_and_not_wanted(
    wanted: Wanted,
) -> None:
    await wanted.deployments.put(a_deployment(num_replicas=2))
    await wanted.registry.put_replica(a_replica("d-0", loaded_adapter_ids=("a",)))
    await wanted.registry.put_replica(a_replica("d-1"))
    adding = asyncio.create_task(wanted.deployments.add_adapter("d", "a", 30))
    await wanted.registry.put_replica(
        a_replica("d-1", adapter_problems={"a": "It is of another model."})
    )
    with pytest.raises(BadRequest, match="It is of another model"):
        await asyncio.wait_for(adding, 10)
    assert (await wanted.registry.view()).deployments["d"].adapter_ids == ()


async def test_adapters_added_at_the_same_time_all_stay(wanted: Wanted) -> None:
    await wanted.deployments.put(a_deployment())
    names = [f"a{n}" for n in range(8)]
    for name in names:
        await wanted.registry.put_adapter(
            AdapterRecord(adapter_id=name, model=MODEL.name, name=name, rank=8, created_at=1.0)
        )
    await asyncio.gather(*(wanted.deployments.add_adapter("d", name, 0) for name in names))
    assert sorted((await wanted.registry.view()).deployments["d"].adapter_ids) == names


async def test_a_known_model_is_registered_when_it_is_first_deployed(wanted: Wanted) -> None:
    known = MODEL.model_copy(update={"name": "known/model", "origin": "catalogue"})
    mine = MODEL.model_copy(update={"name": "known/mine", "origin": "local"})
    deployments = Deployments(
        wanted.registry,
        wanted.cache,
        wanted.devices,
        InferenceSettings(),
        {known.name: known, mine.name: known},
    )
    await wanted.registry.put_model(mine)
    plan = await deployments.plan(a_deployment("k", model=known.name))
    assert plan.refusal == ""
    assert known.name not in (await wanted.registry.view()).models, "a plan changes nothing"
    with pytest.raises(BadRequest):
        await deployments.put(a_deployment("k", model=known.name, num_replicas=0))
    assert known.name not in (await wanted.registry.view()).models, "nothing was deployed"
    await deployments.put(a_deployment("k", model=known.name))
    await deployments.put(a_deployment("m", model=mine.name))
    models = (await wanted.registry.view()).models
    assert models[known.name] == known
    assert models[mine.name] == mine, "what somebody added is that model"


class Overtaken(Registry):
    """Between its next reading and what is made of it, somebody puts a model."""

    def __init__(self, store: Store, model: ModelRecord) -> None:
        super().__init__(store)
        self._model = model

    async def view(self) -> ClusterView:
        found = await super().view()
        await self.put_model(self._model)
        return found


async def test_weights_that_were_uploaded_meanwhile_stay_those_of_the_model(
    wanted: Wanted, store: Store
) -> None:
    known = MODEL.model_copy(update={"name": "known/model", "origin": "catalogue"})
    uploaded = known.model_copy(update={"origin": "upload", "commit": "upload-1"})
    registry = Overtaken(store, uploaded)
    deployments = Deployments(
        registry, wanted.cache, wanted.devices, InferenceSettings(), {known.name: known}
    )
    await deployments.put(a_deployment("k", model=known.name))
    assert (await wanted.registry.view()).models[known.name] == uploaded
