from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.cluster.errors import EngineUnavailable, Unimplemented
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.settings import ClusterSettings
from tests.inference.serving.replicas import (
    ReplicaUnderTest,
    error_of,
    serving,
    text_request,
    until,
)


@pytest.fixture
async def replica(settings: ClusterSettings) -> AsyncIterator[ReplicaUnderTest]:
    async with serving(
        settings, can_sleep=True, device_kind="cuda", echo_token_seconds=0.01
    ) as replica:
        yield replica


async def phase(replica: ReplicaUnderTest) -> int:
    return (await replica.stub.GetStatus(pb.GetReplicaStatusRequest())).phase


async def test_a_replica_sleeps_and_wakes(replica: ReplicaUnderTest) -> None:
    assert (await replica.stub.Sleep(pb.SleepRequest())).num_aborted == 0
    assert await phase(replica) == pb.REPLICA_PHASE_ASLEEP
    assert replica.engine.asleep
    refused = await error_of(replica.stub.Generate(text_request("abc")))
    assert isinstance(refused, EngineUnavailable)
    assert "asleep" in refused.message
    assert (await replica.stub.Sleep(pb.SleepRequest())).num_aborted == 0  # it does already
    await replica.stub.WakeUp(pb.WakeUpRequest())
    assert await phase(replica) == pb.REPLICA_PHASE_READY
    said = [r.text async for r in replica.stub.Generate(text_request("abc", max_tokens=3))]
    assert "".join(said) == "abc"
    await replica.stub.WakeUp(pb.WakeUpRequest())  # it is


async def test_what_runs_has_its_grace(replica: ReplicaUnderTest) -> None:
    async def say(max_tokens: int) -> int:
        responses = [r async for r in replica.stub.Generate(text_request("abc", max_tokens))]
        return responses[-1].finish.reason

    short, long = asyncio.create_task(say(5)), asyncio.create_task(say(4000))
    await until(lambda: replica.engine.stats().num_running == 2)
    assert (await replica.stub.Sleep(pb.SleepRequest(grace_seconds=0.5))).num_aborted == 1
    assert await short == pb.FINISH_REASON_LENGTH
    assert await long == pb.FINISH_REASON_ABORTED


async def test_a_caller_that_goes_away_leaves_it_awake(replica: ReplicaUnderTest) -> None:
    running = replica.stub.Generate(text_request("abc", max_tokens=4000))
    await running.read()
    call = replica.stub.Sleep(pb.SleepRequest(grace_seconds=60))
    pending = asyncio.ensure_future(call.code())
    await until(lambda: replica.state.phase == "asleep")
    call.cancel()
    await pending
    await until(lambda: replica.state.phase == "ready")
    assert not replica.engine.asleep
    said = [r.text async for r in replica.stub.Generate(text_request("abc", max_tokens=3))]
    assert "".join(said) == "abc"
    running.cancel()


@pytest.mark.parametrize("changes", [{"can_sleep": True}, {"device_kind": "cuda"}])
async def test_what_cannot_sleep_says_so(
    settings: ClusterSettings, changes: dict[str, Any]
) -> None:
    async with serving(settings, **changes) as replica:
        refused = await error_of(replica.stub.Sleep(pb.SleepRequest()))
        assert isinstance(refused, Unimplemented)
        assert "cannot sleep" in refused.message
        assert await phase(replica) == pb.REPLICA_PHASE_READY
