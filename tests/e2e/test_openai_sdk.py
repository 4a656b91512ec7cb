"""The openai SDK, unmodified, in both of its colours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai.types.chat import ChatCompletionUserMessageParam

from tests.e2e.running import Cluster
from tests.e2e.watching import measured, until

pytestmark = pytest.mark.e2e

MODEL = "hearth/starter-coder"
PROMPT = "import os\n\n\ndef list_files("
QUESTION: ChatCompletionUserMessageParam = {
    "role": "user",
    "content": "Write a Python function that adds two numbers.",
}


@pytest.fixture
def sdk(cluster: Cluster) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{cluster.url}/v1", api_key=cluster.token) as sdk:
        yield sdk


@pytest_asyncio.fixture
async def async_sdk(cluster: Cluster) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{cluster.url}/v1", api_key=cluster.token) as sdk:
        yield sdk


def test_models(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()][:2] == [MODEL, f"{MODEL}:auto"]
    assert sdk.models.retrieve(MODEL).owned_by == "hearth"


def test_a_completion_whole_and_streamed(sdk: openai.OpenAI) -> None:
    whole = sdk.completions.create(model=MODEL, prompt=PROMPT, max_tokens=24, temperature=0)
    assert whole.model == MODEL
    assert whole.usage is not None
    assert 0 < whole.usage.completion_tokens <= 24
    stream = sdk.completions.create(
        model=MODEL,
        prompt=PROMPT,
        max_tokens=24,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    *chunks, last = list(stream)
    assert len(chunks) > 3
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == whole.usage.completion_tokens


def test_a_suffix(sdk: openai.OpenAI) -> None:
    prefix = "class Circle:\n    def __init__(self, "
    suffixes = (
        "):\n        self.radius = radius\n",
        "):\n        self.name = name\n        self.value = value\n",
    )
    answers = [
        sdk.completions.create(model=MODEL, prompt=prefix, suffix=suffix, temperature=0)
        for suffix in suffixes
    ]
    assert answers[0].choices[0].text != answers[1].choices[0].text


def test_an_answer_holds_to_a_schema(sdk: openai.OpenAI) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"even": {"type": "boolean"}, "kind": {"enum": ["int", "str"]}},
        "required": ["even", "kind"],
        "additionalProperties": False,
    }
    answer = sdk.chat.completions.create(
        model=MODEL,
        messages=[QUESTION],
        temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
    )
    found = json.loads(answer.choices[0].message.content or "")
    assert isinstance(found["even"], bool)
    assert found["kind"] in ("int", "str")


def test_logprobs_of_an_echoed_prompt(sdk: openai.OpenAI) -> None:
    (choice,) = sdk.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=4, temperature=0, echo=True, logprobs=2
    ).choices
    assert choice.text.startswith(PROMPT)
    found = choice.logprobs
    assert found is not None
    assert found.tokens
    assert found.token_logprobs
    assert found.top_logprobs
    assert found.text_offset
    assert len(found.tokens) == len(found.token_logprobs) == len(found.text_offset)
    values: list[float | None] = list(found.token_logprobs)
    assert values[0] is None
    assert all(value is not None and value <= 0 for value in values[1:])
    assert "".join(found.tokens[1:]) == choice.text.removeprefix("import")
    assert all(len(top) >= 2 for top in found.top_logprobs[1:])


def test_the_first_token_of_an_echoed_prompt_has_its_text(sdk: openai.OpenAI) -> None:
    (choice,) = sdk.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=0, echo=True, logprobs=0
    ).choices
    assert choice.logprobs is not None
    assert "".join(choice.logprobs.tokens or ()) == choice.text == PROMPT


def test_several_answers_stop_and_seed(sdk: openai.OpenAI) -> None:
    def draw(seed: int) -> str:
        answer = sdk.completions.create(model=MODEL, prompt="x = ", temperature=1, seed=seed)
        return answer.choices[0].text

    assert draw(7) == draw(7)
    two = sdk.completions.create(model=MODEL, prompt="x = ", temperature=1, seed=7, n=2)
    assert [choice.index for choice in two.choices] == [0, 1]
    assert two.choices[0].text != two.choices[1].text
    stopped = sdk.completions.create(
        model=MODEL, prompt="def f(x):\n", max_tokens=64, temperature=0, stop=["\n"]
    )
    assert "\n" not in stopped.choices[0].text
    assert stopped.choices[0].finish_reason == "stop"


def test_a_chat_whole_and_streamed(sdk: openai.OpenAI) -> None:
    whole = sdk.chat.completions.create(
        model=MODEL, messages=[QUESTION], max_tokens=24, temperature=0
    )
    assert whole.choices[0].message.role == "assistant"
    stream = sdk.chat.completions.create(
        model=MODEL,
        messages=[QUESTION],
        max_tokens=24,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    *chunks, last = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text.strip()
    assert text == whole.choices[0].message.content
    assert last.choices == []
    assert last.usage is not None
    assert last.usage == whole.usage


@pytest.mark.parametrize(
    ("error", "token", "body"),
    [
        (openai.NotFoundError, "", {"model": "no/such-model"}),
        (openai.BadRequestError, "", {"max_tokens": -1}),
        (openai.BadRequestError, "", {"prompt": "word " * 20_000}),
        (openai.AuthenticationError, "hearth_wrong", {}),
        (openai.PermissionDeniedError, "models:read", {}),
    ],
)
def test_errors_are_of_the_sdks_classes(
    cluster: Cluster, error: type[openai.APIStatusError], token: str, body: dict[str, Any]
) -> None:
    if token == "models:read":
        token = cluster.command(
            *("-m", "services.gateway.tokens", "--name", "tests-reader", "--scope", token)
        )
    with (
        openai.OpenAI(base_url=f"{cluster.url}/v1", api_key=token or cluster.token) as sdk,
        pytest.raises(error) as raised,
    ):
        sdk.completions.create(**{"model": MODEL, "prompt": "x", **body})
    assert raised.value.message.endswith(".")
    assert raised.value.code


async def test_async_calls_at_once(async_sdk: openai.AsyncOpenAI) -> None:
    assert MODEL in [model.id async for model in async_sdk.models.list()]

    async def completion() -> str:
        stream = await async_sdk.completions.create(
            model=MODEL, prompt=PROMPT, max_tokens=24, stream=True
        )
        return "".join([chunk.choices[0].text async for chunk in stream])

    async def chat() -> str:
        answer = await async_sdk.chat.completions.create(
            model=MODEL, messages=[QUESTION], max_tokens=24
        )
        return answer.choices[0].message.content or ""

    answers = await asyncio.gather(completion(), chat(), completion(), chat())
    assert all(answers)


def test_closing_a_stream_aborts(cluster: Cluster, sdk: openai.OpenAI) -> None:
    gone = measured(cluster, "hearth_disconnects_total")
    with sdk.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=1500, n=4, stream=True
    ) as stream:
        next(iter(stream))
    until(lambda: measured(cluster, "hearth_disconnects_total") == gone + 1)
    until(lambda: measured(cluster, "hearth_open_generations") == 0)


@pytest.mark.parametrize("stream", [True, False])
async def test_cancelling_a_task_aborts(
    cluster: Cluster, async_sdk: openai.AsyncOpenAI, stream: bool
) -> None:
    async def ask() -> None:
        create = async_sdk.completions.create
        if not stream:
            await create(model=MODEL, prompt=PROMPT, max_tokens=1500, n=8)
            return
        async for _ in await create(model=MODEL, prompt=PROMPT, max_tokens=1500, n=8, stream=True):
            pass

    gone = measured(cluster, "hearth_disconnects_total")
    task = asyncio.create_task(ask())
    await asyncio.to_thread(until, lambda: measured(cluster, "hearth_open_generations") > 0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.to_thread(
        until, lambda: measured(cluster, "hearth_disconnects_total") == gone + 1
    )
    await asyncio.to_thread(until, lambda: measured(cluster, "hearth_open_generations") == 0)
