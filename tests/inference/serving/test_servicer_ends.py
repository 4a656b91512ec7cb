"""How RPCs end when a client leaves, a replica stops or its engine dies."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

from services.cluster.errors import (
    EngineUnavailable,
    Overloaded,
)
from services.cluster.log import JsonFormatter
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.pb.v1 import replica_pb2_grpc as rpc
from services.cluster.records import ReplicaPhase
from services.cluster.rpc import translate_rpc_error
from services.cluster.settings import ClusterSettings
from tests.inference.serving.replicas import (
    ReplicaUnderTest,
    error_of,
    serving,
    text_request,
    until,
)


@pytest.fixture
async def slow(settings: ClusterSettings) -> AsyncIterator[ReplicaUnderTest]:
    """Its generations last until somebody ends them."""
    async with serving(settings, echo_token_seconds=0.01, max_open=2) as replica:
        yield replica


async def test_a_cancelled_rpc_aborts_in_the_engine_and_is_logged(
    slow: ReplicaUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "services.inference")
    request = text_request("abc", max_tokens=4000)
    request.context.request_id = "asked-by-a-client"
    call = slow.stub.Generate(request)
    assert isinstance(await call.read(), pb.GenerateResponse)
    cancelled_at = time.time()
    call.cancel()
    await until(lambda: slow.generations.num_open == 0)
    assert list(slow.engine.aborted) == [slow.engine.requests[0].request_id]
    assert slow.engine.stats().num_running == 0
    [record] = [r for r in caplog.records if r.getMessage() == "generation aborted"]
    line = json.loads(JsonFormatter("replica").format(record))
    assert line["request_id"] == "asked-by-a-client"
    assert cancelled_at <= line["aborted_at"] <= time.time()


async def test_a_client_that_does_not_read_and_leaves_aborts_too(
    settings: ClusterSettings,
) -> None:
    """The server waits for room in the client's window, not for the engine, when it hears of it."""
    still = [("grpc.http2.bdp_probe", 0)]  # the window does not grow
    async with (
        serving(settings) as replica,
        grpc.aio.insecure_channel(replica.address, options=still) as channel,
    ):
        stub: rpc.ReplicaAsyncStub = rpc.ReplicaStub(channel)
        large = text_request("abc" * 1000, 2, num_logprobs=20, prompt_logprobs=True)
        call = stub.Generate(large, metadata=(("hearth-cluster-key", settings.key),))
        await until(lambda: bool(replica.engine.requests))
        await asyncio.sleep(0.1)
        assert replica.engine.stats().num_running == 1  # its second token would take no time
        call.cancel()
        await until(lambda: replica.generations.num_open == 0)
        assert len(replica.engine.aborted) == 1


async def test_a_client_that_read_the_finish_has_aborted_nothing(
    slow: ReplicaUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "services.inference")
    call = slow.stub.Generate(text_request("abc", max_tokens=1))
    response = await call.read()
    assert isinstance(response, pb.GenerateResponse)
    assert response.HasField("finish")
    call.cancel()
    await until(lambda: slow.generations.num_open == 0)
    assert not slow.engine.aborted
    assert "generation aborted" not in caplog.text


async def test_a_cancelled_session_aborts_its_slots(slow: ReplicaUnderTest) -> None:
    call = slow.stub.Session()
    for slot in range(2):
        start = pb.SessionStart(slot=slot, request=text_request("abc", 4000), credit=1)
        await call.write(pb.SessionRequest(start=start))
    await until(lambda: slow.engine.stats().num_running == 2)
    call.cancel()
    await until(lambda: slow.generations.num_open == 0)
    assert len(slow.engine.aborted) == 2


async def test_more_than_it_may_have_open_is_refused_at_once(slow: ReplicaUnderTest) -> None:
    calls = [slow.stub.Generate(text_request("abc", 4000)) for _ in range(2)]
    for call in calls:
        await call.read()
    refused = await error_of(slow.stub.Generate(text_request("abc")))
    assert isinstance(refused, Overloaded)
    for call in calls:
        call.cancel()
    await until(lambda: slow.generations.num_open == 0)
    assert [r async for r in slow.stub.Generate(text_request("abc", 1))]


async def test_a_draining_replica_finishes_what_it_has(slow: ReplicaUnderTest) -> None:
    call = slow.stub.Generate(text_request("abcdefghij", max_tokens=10))
    await call.read()
    slow.state.set(ReplicaPhase.DRAINING)
    draining = asyncio.create_task(slow.generations.drain(5))
    refused = await error_of(slow.stub.Generate(text_request("abc")))
    assert isinstance(refused, EngineUnavailable)
    assert "draining" in refused.message
    assert "".join([r.text async for r in call]) == "bcdefghij"
    assert await draining == 0


async def test_what_outlasts_the_drain_is_aborted_and_says_so(slow: ReplicaUnderTest) -> None:
    call = slow.stub.Generate(text_request("abc", max_tokens=4000))
    await call.read()
    assert await slow.generations.drain(0.05) == 1
    last = [r async for r in call][-1]
    assert last.finish.reason == pb.FINISH_REASON_ABORTED


@pytest.mark.parametrize("stream", [False, True])
async def test_a_draining_replica_finishes_its_scores(slow: ReplicaUnderTest, stream: bool) -> None:
    scoring = asyncio.create_task(score(slow, stream))
    await until(lambda: slow.generations.num_open == 1)
    slow.state.set(ReplicaPhase.DRAINING)
    assert await slow.generations.drain(5) == 0
    assert await scoring == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_score_that_outlasts_the_drain_is_told_to_ask_again(
    settings: ClusterSettings, stream: bool
) -> None:
    async with serving(settings, echo_token_seconds=60) as replica:
        scoring = asyncio.create_task(score(replica, stream))
        await until(lambda: replica.generations.num_open == 1)
        assert await replica.generations.drain(0.05) == 1
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await scoring
        problem = translate_rpc_error(raised.value)
        assert isinstance(problem, EngineUnavailable)
        assert problem.message == "This replica is being stopped; ask again."
        await until(lambda: replica.generations.num_open == 0)


async def score(replica: ReplicaUnderTest, stream: bool) -> int:
    """How many tokens of a text of three were scored."""
    request = pb.ScoreRequest(texts=["abc"])
    if not stream:
        return (await replica.stub.Score(request)).scores[0].num_scored_tokens

    async def requests() -> AsyncIterator[pb.ScoreRequest]:
        yield request

    [answer] = [answer async for answer in replica.stub.ScoreStream(requests())]
    return answer.scores[0].num_scored_tokens


async def test_a_dead_engine_ends_its_streams_with_an_error(slow: ReplicaUnderTest) -> None:
    call = slow.stub.Generate(text_request("abc", max_tokens=4000))
    await call.read()
    slow.engine.die()
    assert isinstance(await error_of(call), EngineUnavailable)
    refused = await error_of(slow.stub.Generate(text_request("abc")))
    assert isinstance(refused, EngineUnavailable)
