"""Replicas that are gone, silent or full: others answer, or the client is told at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from services.cluster.errors import EngineUnavailable
from services.cluster.pb.v1 import replica_pb2_grpc
from services.cluster.registry import Registry
from services.cluster.rpc import RpcServer
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.inference.engines.echo_engine import EchoEngine
from services.inference.engines.generation import Delta, GenerationRequest
from services.inference.serving.generations import Generations
from services.inference.serving.servicer import ReplicaServicer
from services.inference.serving.state import ReplicaState
from tests.gateway.conftest import (
    MODEL,
    EchoReplica,
    Gateway,
    deployment,
    echo_replica,
    gateway_settings,
    serving,
)

CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"


class HeldEngine(EchoEngine):
    """Says nothing before it is told to; `held` are those that wait."""

    told = asyncio.Event()
    held = 0

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta]:
        HeldEngine.held += 1
        try:
            await self.told.wait()
        finally:
            HeldEngine.held -= 1
        async for delta in super().generate(request):
            yield delta


@pytest.fixture(autouse=True)
def held() -> None:
    HeldEngine.told, HeldEngine.held = asyncio.Event(), 0


def ask(gateway: Gateway, path: str = COMPLETION, **body: Any) -> asyncio.Task[httpx.Response]:
    if path == CHAT:
        body["messages"] = [{"role": "user", "content": "hello"}]
    else:
        body["prompt"] = "abc"

    async def post() -> httpx.Response:
        async with gateway.client() as client:
            return await client.post(path, json={"max_tokens": 2, **body})

    return asyncio.create_task(post())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def refused(reason: str) -> float:
    labels = {"model": MODEL, "reason": reason}
    return REGISTRY.get_sample_value("hearth_refused_total", labels) or 0.0


def breakers(state: str) -> float:
    return REGISTRY.get_sample_value("hearth_breakers", {"state": state}) or 0.0


async def refused_answer(gateway: Gateway, reason: str, status: int) -> httpx.Response:
    """The first that was sent to no replica. A probe may go before it, and is told the same."""
    before = refused(reason)
    async with asyncio.timeout(30):
        while True:
            answer = await ask(gateway)
            assert answer.status_code == status
            if refused(reason) > before:
                return answer


@asynccontextmanager
async def held_replica(
    settings: ClusterSettings, store: Store, folder: Path, **changes: Any
) -> AsyncIterator[Gateway]:
    registry = Registry(store)
    await registry.put_deployment(deployment())
    async with (
        echo_replica(settings, registry, "r1", folder, HeldEngine),
        serving(gateway_settings(settings, **changes), store) as gateway,
    ):
        yield gateway


@pytest_asyncio.fixture
async def narrow(store: Store, settings: ClusterSettings, tmp_path: Path) -> AsyncIterator[Gateway]:
    """Four requests may wait; its engine is silent."""
    async with held_replica(settings, store, tmp_path, max_queued_requests=4) as gateway:
        yield gateway


async def test_ten_times_too_many_are_told_at_once_and_the_others_answered(
    narrow: Gateway,
) -> None:
    waiting = [ask(narrow) for _ in range(4)]
    await until(lambda: HeldEngine.held == 4)
    before = refused("full")
    for answer in await asyncio.gather(*(ask(narrow) for _ in range(36))):
        assert answer.status_code == 429
        assert answer.json()["error"]["code"] == "overloaded"
        assert 1 <= int(answer.headers["Retry-After"]) <= 30
    assert HeldEngine.held == 4
    assert refused("full") == before + 36
    HeldEngine.told.set()
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
    assert (await ask(narrow)).status_code == 200


async def test_chat_leaves_places_to_completions(narrow: Gateway) -> None:
    waiting = [ask(narrow, CHAT) for _ in range(3)]
    await until(lambda: HeldEngine.held == 3)
    assert (await ask(narrow, CHAT)).status_code == 429
    waiting.append(ask(narrow))
    await until(lambda: HeldEngine.held == 4)
    HeldEngine.told.set()
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}


async def test_a_client_that_goes_away_leaves_its_place(narrow: Gateway) -> None:
    waiting = [ask(narrow) for _ in range(4)]
    await until(lambda: HeldEngine.held == 4)
    waiting[0].cancel()
    await until(lambda: HeldEngine.held == 3)
    waiting[0] = ask(narrow)
    await until(lambda: HeldEngine.held == 4)
    HeldEngine.told.set()
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}


async def test_a_replica_that_is_full_itself_is_not_asked_on_and_on(
    gateway: Gateway, replica: EchoReplica
) -> None:
    """Others fill it; it says so, and for a while nothing is sent to it."""
    replica.state.generations = full = Generations(replica.engine, 1)
    async with full.beside():
        assert (await ask(gateway)).status_code == 429
        answer = await refused_answer(gateway, "full", 429)
    assert int(answer.headers["Retry-After"]) >= 1
    async with asyncio.timeout(20):
        while (await ask(gateway)).status_code != 200:
            await asyncio.sleep(0.05)


async def restarted(replica: EchoReplica, settings: ClusterSettings) -> RpcServer:
    """Another server at the same address."""
    servicer = ReplicaServicer(replica.state)
    server = RpcServer(settings)
    server.add("hearth.v1.Replica", replica_pb2_grpc.add_ReplicaServicer_to_server, servicer)
    await server.start(int(replica.state.address.rpartition(":")[2]))
    return server


async def test_the_only_replica_is_gone_and_comes_back(
    gateway: Gateway, replica: EchoReplica, settings: ClusterSettings
) -> None:
    open_before = breakers("open")
    await replica.server.stop(0)
    assert (await ask(gateway)).status_code == 503
    assert breakers("open") == open_before + 1
    told = await refused_answer(gateway, "gone", 503)
    assert told.json()["error"]["code"] == "engine_unavailable"
    assert int(told.headers["Retry-After"]) >= 1
    server = await restarted(replica, settings)
    async with asyncio.timeout(30):
        while (await ask(gateway)).status_code != 200:
            await asyncio.sleep(0.05)
    assert (breakers("open"), breakers("half_open")) == (open_before, 0)
    await server.stop(0)


async def test_several_answers_of_one_request_are_one_probe(
    gateway: Gateway, replica: EchoReplica, settings: ClusterSettings
) -> None:
    """Each of them alone would be the others' failure, and nothing would ever come back."""
    await replica.server.stop(0)
    assert (await ask(gateway)).status_code == 503
    server = await restarted(replica, settings)
    async with asyncio.timeout(30):
        while (await ask(gateway, n=4)).status_code != 200:
            await asyncio.sleep(0.05)
    await server.stop(0)


async def test_one_that_was_started_again_elsewhere_is_not_held_to_account(
    gateway: Gateway, replica: EchoReplica, settings: ClusterSettings, tmp_path: Path
) -> None:
    await replica.server.stop(0)
    assert (await ask(gateway)).status_code == 503
    async with echo_replica(settings, gateway.state.registry, "r1", tmp_path):
        await gateway.state.cache.refresh()
        assert (await ask(gateway)).status_code == 200


async def test_deadlines_in_a_row_are_the_last_that_is_waited_for(
    store: Store, settings: ClusterSettings, tmp_path: Path
) -> None:
    """The process lives and its engine says nothing."""
    async with held_replica(settings, store, tmp_path, first_token_seconds=0.2) as gateway:
        statuses = [(await ask(gateway)).status_code for _ in range(3)]
        assert statuses == [504] * 3
        async with asyncio.timeout(30):
            while (status := (await ask(gateway)).status_code) != 503:
                assert status == 504, "of a probe"
        HeldEngine.told.set()
        async with asyncio.timeout(30):
            while (await ask(gateway)).status_code != 200:
                await asyncio.sleep(0.05)


class StillServicer(ReplicaServicer):
    """Takes requests and says nothing, not even that it lives."""

    async def GetStatus(self, request: object, context: object) -> Any:
        await asyncio.Event().wait()


@asynccontextmanager
async def still_replica(
    settings: ClusterSettings, registry: Registry, folder: Path
) -> AsyncIterator[ReplicaState]:
    async with echo_replica(settings, registry, "r0", folder, HeldEngine) as replica:
        server = RpcServer(settings)
        servicer = StillServicer(replica.state)
        server.add("hearth.v1.Replica", replica_pb2_grpc.add_ReplicaServicer_to_server, servicer)
        replica.state.address = await server.start()
        await registry.put_replica(replica.state.record())
        yield replica.state
        await server.stop(0)


async def test_a_replica_that_stands_still_costs_nobody_his_answer(
    store: Store, settings: ClusterSettings, tmp_path: Path
) -> None:
    """Long before the deadline for the first token, another one answers."""
    registry = Registry(store)
    await registry.put_deployment(deployment())
    async with (
        still_replica(settings, registry, tmp_path),
        serving(gateway_settings(settings, silent_seconds=0.2), store) as gateway,
    ):
        alone = await ask(gateway)
        assert alone.status_code == 503
        assert alone.json()["error"]["message"].endswith("it is being started again.")
        async with echo_replica(settings, registry, "r1", tmp_path):
            await gateway.state.cache.refresh()
            answers = await asyncio.gather(*(ask(gateway) for _ in range(12)))
            assert {answer.status_code for answer in answers} == {200}


async def test_a_replica_that_only_takes_its_time_is_waited_for(
    store: Store, settings: ClusterSettings, tmp_path: Path
) -> None:
    async with held_replica(settings, store, tmp_path, silent_seconds=0.05) as gateway:
        asked = ask(gateway)
        await asyncio.wait([asked], timeout=0.5)
        assert not asked.done()
        HeldEngine.told.set()
        assert (await asked).status_code == 200


async def test_what_a_replica_refuses_says_that_it_lives(gateway: Gateway) -> None:
    for _ in range(5):
        assert (await ask(gateway, temperature=9)).status_code == 400
        assert (await ask(gateway, logit_bias={"999999": 1})).status_code == 400
    assert (await ask(gateway)).status_code == 200


async def test_an_engine_that_cannot_serve_is_as_good_as_gone(
    gateway: Gateway, replica: EchoReplica
) -> None:
    replica.engine.die()
    assert (await ask(gateway)).status_code == 503
    told = await refused_answer(gateway, "gone", 503)
    assert told.json()["error"]["code"] == EngineUnavailable.code
