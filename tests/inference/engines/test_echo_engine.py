from __future__ import annotations

import asyncio

import pytest

from services.cluster.errors import EngineUnavailable
from services.inference.engines.generation import GenerationRequest, Sampling
from tests.inference.serving.replicas import echo_engine


def request() -> GenerationRequest:
    return GenerationRequest("g1", list(b"abc"), Sampling(max_tokens=4, temperature=0))


async def test_closing_ends_what_runs_with_an_error() -> None:
    engine = await echo_engine(echo_token_seconds=10)
    deltas = engine.generate(request())
    running = asyncio.ensure_future(anext(deltas))
    while not engine.stats().num_running:
        await asyncio.sleep(0)
    await engine.close()
    with pytest.raises(EngineUnavailable):
        await running
    assert engine.errored == ""


async def test_it_keeps_what_it_saw() -> None:
    engine = await echo_engine()
    finished = [delta async for delta in engine.generate(request())]
    left = engine.generate(request())
    await anext(left)
    await left.aclose()
    assert [seen.request_id for seen in engine.requests] == ["g1", "g1"]
    assert list(engine.aborted) == ["g1"]
    assert finished[-1].finish is not None
