"""A client that goes away ends its generation in the engine, streaming or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from tests.gateway.conftest import EchoReplica, Gateway


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def open_request(
    gateway: Gateway, path: str, body: dict[str, object]
) -> asyncio.StreamWriter:
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    data = json.dumps(body).encode()
    token = next(iter(gateway.tokens.values()))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    writer.write(head.encode() + data)
    await writer.drain()
    return writer


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("num_answers", [1, 3])
async def test_a_closed_socket_aborts(
    gateway: Gateway, replica: EchoReplica, stream: bool, num_answers: int
) -> None:
    body: dict[str, object] = {
        "prompt": "abc",
        "max_tokens": 4000,
        "stream": stream,
        "n": num_answers,
    }
    engine = replica.engine
    writer = await open_request(gateway, "/v1/completions", body)
    await until(lambda: engine.stats().num_running == num_answers)
    writer.transport.abort()
    await until(lambda: len(engine.aborted) == num_answers)
    assert engine.stats().num_running == 0


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_a_closed_chat_aborts(
    gateway: Gateway, replica: EchoReplica, path: str, stream: bool
) -> None:
    message = {"role": "user", "content": "hello"}
    body: dict[str, object] = {"messages": [message], "max_tokens": 3000, "stream": stream}
    writer = await open_request(gateway, path, body)
    await until(lambda: replica.engine.stats().num_running == 1)
    writer.close()
    await until(lambda: len(replica.engine.aborted) == 1)


async def streamed(
    gateway: Gateway, at_third: Callable[[], Awaitable[object]], max_tokens: int = 4000
) -> list[str]:
    """The data of a completion's events; `at_third` is awaited when three have come."""
    body = {"prompt": "abc", "max_tokens": max_tokens, "stream": True}
    found: list[str] = []
    async with (
        gateway.client() as client,
        client.stream("POST", "/v1/completions", json=body) as answer,
    ):
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                found.append(line[6:])
                if len(found) == 3:
                    await at_third()
    return found


async def test_an_engine_that_dies_ends_the_stream_with_an_error(
    gateway: Gateway, replica: EchoReplica
) -> None:
    async def die() -> None:
        replica.engine.die()

    told = await streamed(gateway, die)
    assert "[DONE]" not in told
    assert json.loads(told[-1])["error"]["code"] == "engine_unavailable"
    assert json.loads(told[-1])["detail"]


async def test_a_replica_that_is_stopped_ends_the_stream_with_an_error(
    gateway: Gateway, replica: EchoReplica
) -> None:
    generations = replica.state.generations
    assert generations is not None
    told = await streamed(gateway, lambda: generations.drain(0))
    assert json.loads(told[-1])["error"]["code"] == "engine_unavailable"


async def test_a_replica_that_is_forgotten_goes_on_answering(
    gateway: Gateway, replica: EchoReplica
) -> None:
    """Its record expires when it is silent for too long; what it has begun may still come."""

    async def forget() -> None:
        await gateway.state.registry.remove_replica(replica.state.replica_id)
        await gateway.state.cache.refresh()

    assert (await streamed(gateway, forget, max_tokens=200))[-1] == "[DONE]"


async def test_a_channel_that_is_closed_under_an_answer_ends_it_with_an_error(
    gateway: Gateway, replica: EchoReplica
) -> None:
    told = await streamed(gateway, gateway.state.channels.close)
    assert json.loads(told[-1])["error"]["code"] == "engine_unavailable"
