from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from services.cluster.errors import AdapterNotLoaded, BadRequest, PayloadTooLarge
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.settings import ClusterSettings
from services.inference.serving.scores import MAX_TEXT_BYTES, MAX_TEXTS
from tests.inference.serving.replicas import ReplicaUnderTest, error_of, serving, until


@pytest.fixture
async def replica(settings: ClusterSettings) -> AsyncIterator[ReplicaUnderTest]:
    async with serving(settings, context_tokens=64) as replica:
        yield replica


@pytest.fixture
async def slow_replica(settings: ClusterSettings) -> AsyncIterator[ReplicaUnderTest]:
    async with serving(settings, echo_token_seconds=60, max_running=8) as replica:
        yield replica


async def requests(*texts: Sequence[str]) -> AsyncIterator[pb.ScoreRequest]:
    for some in texts:
        yield pb.ScoreRequest(texts=some)


async def test_a_stream_scores_in_the_order_of_the_texts(replica: ReplicaUnderTest) -> None:
    texts = [str(number) * (1 + 40 * (number % 3)) for number in range(150)]
    unary = await replica.stub.Score(pb.ScoreRequest(texts=texts))
    call = replica.stub.ScoreStream(requests(texts[:1], texts[1:100], texts[100:]))
    streamed = [score async for answer in call for score in answer.scores]
    assert streamed == list(unary.scores)


async def test_a_stream_without_texts_ends(replica: ReplicaUnderTest) -> None:
    assert [answer async for answer in replica.stub.ScoreStream(requests())] == []


async def test_scores_come_before_the_stream_ends(replica: ReplicaUnderTest) -> None:
    call = replica.stub.ScoreStream()
    for text in ("ab", "abc"):
        await call.write(pb.ScoreRequest(texts=[text]))
        answer = await call.read()
        assert isinstance(answer, pb.ScoreResponse)
        assert [score.num_scored_tokens for score in answer.scores] == [len(text) - 1]
    await call.done_writing()
    assert [answer async for answer in call] == []


async def test_a_bad_text_ends_the_stream_after_the_scores_before_it(
    replica: ReplicaUnderTest,
) -> None:
    call = replica.stub.ScoreStream(requests(["ab", "abc"], ["fine", "a" * (MAX_TEXT_BYTES + 1)]))
    first = await call.read()
    assert isinstance(first, pb.ScoreResponse)
    assert first.scores[0].num_scored_tokens == 1
    error = await error_of(call)
    assert isinstance(error, PayloadTooLarge)
    assert error.param == "texts"
    assert error.message.startswith(f"Text 1 has {MAX_TEXT_BYTES + 1} bytes")


async def test_what_cannot_be_scored_is_refused(replica: ReplicaUnderTest) -> None:
    too_many = replica.stub.ScoreStream(requests(["a"] * (MAX_TEXTS + 1)))
    assert isinstance(await error_of(too_many), BadRequest)
    too_long = replica.stub.Score(pb.ScoreRequest(texts=["é" * (MAX_TEXT_BYTES // 2 + 1)]))
    assert isinstance(await error_of(too_long), PayloadTooLarge)

    async def unknown() -> AsyncIterator[pb.ScoreRequest]:
        yield pb.ScoreRequest(texts=["ab"], adapter_id="missing")

    assert isinstance(await error_of(replica.stub.ScoreStream(unknown())), AdapterNotLoaded)


async def test_a_stream_reads_no_more_than_it_can_hold(slow_replica: ReplicaUnderTest) -> None:
    """Nothing is scored here: what the caller could hand over is what the replica has open."""
    num_sent = 0

    async def without_end() -> AsyncIterator[pb.ScoreRequest]:
        nonlocal num_sent
        while True:
            num_sent += 1
            yield pb.ScoreRequest(texts=["a" * 1024 * 1024])

    call = slow_replica.stub.ScoreStream(without_end())
    pending = asyncio.ensure_future(call.read())
    await until(lambda: slow_replica.engine.stats().num_running == 4)  # half of the batch
    before = -1
    while before != num_sent:  # gRPC holds some more on both sides, by windows that grow
        before = num_sent
        await asyncio.sleep(0.2)
    assert num_sent < 64
    call.cancel()
    await asyncio.gather(pending, return_exceptions=True)
    await until(lambda: slow_replica.engine.stats().num_running == 0)
    assert len(slow_replica.engine.aborted) == 4
