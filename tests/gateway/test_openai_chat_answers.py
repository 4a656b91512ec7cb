"""How a chat's answer is told; the engine says what it is told."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.inference.engines.chat import ToolCallDelta
from services.inference.engines.echo_engine import EchoEngine
from services.inference.engines.generation import (
    Delta,
    Finish,
    FinishReason,
    GenerationRequest,
    PositionLogprobs,
    TokenLogprob,
)
from tests.gateway.conftest import Gateway, deployment, echo_replica, gateway_settings, serving

TOKENS = ('{"', "a", '":', "1}")


class SilentEngine(EchoEngine):
    """A call whose first tokens say nothing until the third, as parsers of vLLM hold them back."""

    async def _deltas(self, request: GenerationRequest, ended: Any) -> AsyncGenerator[Delta]:
        wants_logprobs = request.sampling.num_logprobs is not None
        for number, text in enumerate(TOKENS):
            position = PositionLogprobs(TokenLogprob(number, text, -1.0 - number, 1), ())
            call = ToolCallDelta(0, "c1", "read", "".join(TOKENS[:3])) if number == 2 else None
            yield Delta(
                token_ids=[number],
                tool_calls=[call] if call else [],
                logprobs=[position] if wants_logprobs else [],
            )
        calls = [ToolCallDelta(0, "", "", TOKENS[3])]
        finish = Finish(FinishReason.TOOL_CALLS, "", 9, len(TOKENS), 0)
        yield Delta(tool_calls=calls, finish=finish)


@pytest_asyncio.fixture
async def silent(store: Store, settings: ClusterSettings, tmp_path: Path) -> AsyncIterator[Gateway]:
    registry = Registry(store)
    await registry.put_deployment(deployment())
    async with (
        echo_replica(settings, registry, "r1", tmp_path, SilentEngine),
        serving(gateway_settings(settings), store) as gateway,
    ):
        yield gateway


async def asked(gateway: Gateway, **body: Any) -> str:
    messages = [{"role": "user", "content": "hello"}]
    async with gateway.client() as client:
        answer = await client.post("/v1/chat/completions", json={"messages": messages, **body})
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_a_stream_has_the_probability_of_every_token(silent: Gateway) -> None:
    """Also of those whose text comes with a later one, or never."""
    (whole,) = json.loads(await asked(silent, logprobs=True))["choices"]
    lines = (await asked(silent, logprobs=True, stream=True)).splitlines()
    data = [line.removeprefix("data: ") for line in lines if line and line != "data: [DONE]"]
    choices = [choice for each in data for choice in json.loads(each)["choices"]]
    told = [entry for choice in choices for entry in (choice["logprobs"] or {})["content"]]
    assert [entry["token"] for entry in told] == list(TOKENS)
    assert told == whole["logprobs"]["content"]


async def test_nothing_is_said_of_tokens_that_say_nothing(silent: Gateway) -> None:
    """The first chunk says who speaks."""
    data = (await asked(silent, stream=True)).split("\n\n")
    assert len([each for each in data if '"delta"' in each]) == 3
