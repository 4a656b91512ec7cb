from __future__ import annotations

import asyncio
import logging
import time

import pytest

from services.cluster.errors import BadRequest, EngineUnavailable, Overloaded
from services.cluster.log import request_id_var
from services.cluster.pb.v1 import replica_pb2 as pb
from services.inference.engines.echo_engine import EchoEngine
from services.inference.serving.generations import Generations
from tests.inference.serving.replicas import echo_engine, text_request, until


@pytest.fixture
async def engine() -> EchoEngine:
    return await echo_engine(echo_token_seconds=0.001, context_tokens=1000)


@pytest.fixture
def generations(engine: EchoEngine) -> Generations:
    return Generations(engine, 2)


async def answer(
    generations: Generations, request: pb.GenerateRequest
) -> list[pb.GenerateResponse]:
    return [response async for response in generations.run(request)]


async def test_a_request_reaches_the_engine_whole(
    generations: Generations, engine: EchoEngine
) -> None:
    request = text_request("abc", 2, seed=5)
    request.priority = 10
    await answer(generations, request)
    [seen] = engine.requests
    assert list(seen.prompt_token_ids) == [97, 98, 99]
    assert (seen.sampling.max_tokens, seen.sampling.seed, seen.priority) == (2, 5, 10)
    assert seen.adapter_id == ""


async def test_without_max_tokens_the_context_is_the_limit(
    generations: Generations, engine: EchoEngine
) -> None:
    request = text_request("a" * 997)
    request.sampling.ClearField("max_tokens")
    responses = await answer(generations, request)
    assert responses[-1].finish.num_generated_tokens == 3


async def test_a_cursor_prompt_stops_at_the_familys_tokens(
    generations: Generations, engine: EchoEngine
) -> None:
    request = text_request("", 4, stop_token_ids=[10])
    request.prompt.fill_in_the_middle.CopyFrom(pb.FillInTheMiddle(prefix="a", suffix="b"))
    await answer(generations, request)
    [seen] = engine.requests
    tokens = engine.tokenizer.special_tokens
    assert {10, tokens["<|endoftext|>"], tokens["<|fim_prefix|>"]} <= set(
        seen.sampling.stop_token_ids
    )


async def test_two_of_the_same_client_are_two_for_the_engine(
    generations: Generations, engine: EchoEngine
) -> None:
    """A client may send its own X-Request-Id again and again."""
    request = text_request("abc", 2)
    request.context.request_id = "same"
    await asyncio.gather(answer(generations, request), answer(generations, request))
    assert len({seen.request_id for seen in engine.requests}) == 2


async def test_a_long_prompt_leaves_the_loop_to_others(engine: EchoEngine) -> None:
    generations = Generations(await echo_engine(context_tokens=200_000), 2)
    responses = await answer(generations, text_request("é" * 50_000, 1))
    assert responses[0].num_prompt_tokens == 100_000


async def test_one_long_text_is_tokenized_at_a_time(generations: Generations) -> None:
    num_running, most, begun = 0, 0, asyncio.Event()
    loop = asyncio.get_running_loop()

    def tokenize() -> None:
        nonlocal num_running, most
        num_running += 1
        most = max(most, num_running)
        loop.call_soon_threadsafe(begun.set)
        time.sleep(0.02)
        num_running -= 1

    tasks = [asyncio.create_task(generations.aside(100_000, tokenize)) for _ in range(4)]
    await begun.wait()
    tasks[0].cancel()  # its thread goes on
    assert await generations.aside(5, lambda: "short") == "short"
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == 1


@pytest.mark.parametrize(
    "request_",
    [
        pb.GenerateRequest(),
        text_request(""),
        text_request("a", 0),
        text_request("a", stop=[""]),
        pb.GenerateRequest(prompt=pb.Prompt(tokens=pb.TokenIds())),
        pb.GenerateRequest(prompt=pb.Prompt(chat=pb.Chat())),
    ],
)
async def test_what_is_refused_is_not_open(
    generations: Generations, engine: EchoEngine, request_: pb.GenerateRequest
) -> None:
    with pytest.raises(BadRequest):
        await answer(generations, request_)
    assert generations.num_open == 0
    assert not engine.requests


async def test_more_than_may_be_open_are_refused_until_one_ends(generations: Generations) -> None:
    tasks = [asyncio.create_task(answer(generations, text_request("abc", 900))) for _ in range(2)]
    await until(lambda: generations.num_open == 2)
    with pytest.raises(Overloaded) as refused:
        await answer(generations, text_request("abc"))
    assert refused.value.retry_after_seconds
    tasks[0].cancel()
    await until(lambda: generations.num_open == 1)
    assert await answer(generations, text_request("abc", 1))
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_log_falls_back_to_the_callers_request_id(
    generations: Generations, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "services.inference")
    request_id_var.set("from-metadata")
    responses = generations.run(text_request("abc", 900))
    await anext(responses)
    await responses.aclose()
    [record] = caplog.records
    assert vars(record)["request_id"] == "from-metadata"


async def test_an_idle_replica_drains_at_once(generations: Generations) -> None:
    assert await generations.drain(60) == 0
    with pytest.raises(EngineUnavailable):
        await answer(generations, text_request("abc"))
