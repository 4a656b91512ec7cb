"""/v1/fim/completions: the place between two pieces of code, in the form of a chat's answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from tests.gateway.conftest import MODEL, Gateway

PATH = "/v1/fim/completions"


@pytest_asyncio.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client() as client:
        yield client


async def test_the_answer_has_the_form_of_a_chat(client: httpx.AsyncClient) -> None:
    body = {"model": MODEL, "prompt": "def add(", "suffix": "return a + b", "max_tokens": 8}
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["object"] == "chat.completion"
    (choice,) = found["choices"]
    assert choice["message"]["role"] == "assistant"
    assert len(choice["message"]["content"]) == found["usage"]["completion_tokens"] == 8
    assert choice["finish_reason"] == "length"


async def test_a_stream_says_the_same_in_deltas(client: httpx.AsyncClient) -> None:
    body = {"prompt": "def add(", "suffix": "return", "max_tokens": 6, "random_seed": 1}
    whole = (await client.post(PATH, json=body)).json()["choices"][0]["message"]["content"]
    streamed = await client.post(PATH, json={**body, "stream": True})
    data = [line[6:] for line in streamed.text.splitlines() if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    chunks = [json.loads(each)["choices"][0] for each in data]
    assert "".join(chunk["delta"]["content"] for chunk in chunks) == whole
    assert [chunk["finish_reason"] for chunk in chunks[-2:]] == [None, "length"]


async def test_a_prompt_is_needed(client: httpx.AsyncClient) -> None:
    refused = await client.post(PATH, json={"suffix": "x"})
    assert refused.status_code == 400
    assert "prompt" in refused.json()["detail"]
