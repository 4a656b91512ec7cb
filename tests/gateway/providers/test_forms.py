"""What providers answer in forms of their own, and what is asked of them in other forms."""

from __future__ import annotations

import json

import httpx
import pytest

from services.cluster.provider_records import ProviderKind
from tests.gateway.providers.conftest import Fakes
from tests.gateway.providers.fake_server import Answer, Says, Stream
from tests.gateway.providers.test_chats import HELLO, chat

KINDS = list(ProviderKind)


@pytest.mark.parametrize(
    "value",
    [
        b"{}",
        b"[]",
        b"null",
        b"nonsense",
        b'{"data": [{"index": 0}]}',
        b'{"data": [{"index": 0, "embedding": "x"}]}',
        b'{"data": [{"index": 0, "embedding": [1]}], "usage": {"prompt_tokens": "x"}}',
        b'{"data": []}',
    ],
)
async def test_embeddings_that_are_none(
    client: httpx.AsyncClient, outside: Fakes, value: bytes
) -> None:
    outside[ProviderKind.OPENAI].fault = Answer(200, value)
    asked = {"model": "openai/text-embedding-3-small", "input": ["one", "two"]}
    found = await client.post("/v1/embeddings", json=asked)
    assert found.status_code == 503
    assert "cannot be read" in found.json()["error"]["message"]


async def test_two_calls_of_the_same_index_are_two(
    client: httpx.AsyncClient, outside: Fakes
) -> None:
    """As some servers number them."""

    def chunk(call_id: str, reason: str) -> bytes:
        function = {"name": "add", "arguments": {"of": [call_id]}}
        delta = {"tool_calls": [{"index": 0, "id": call_id, "function": function}]}
        value = {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        return f"data: {json.dumps(value)}\n\n".encode()

    outside[ProviderKind.COMPATIBLE].fault = Stream(
        lambda events: [chunk("a", ""), chunk("b", "tool_calls")]
    )
    found = await chat(client, ProviderKind.COMPATIBLE)
    calls = found.json()["choices"][0]["message"]["tool_calls"]
    assert [call["id"] for call in calls] == ["a", "b"]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [
        {"of": ["a"]},
        {"of": ["b"]},
    ]


async def test_reasoning_and_refusals_in_other_forms(
    client: httpx.AsyncClient, outside: Fakes
) -> None:
    deltas = [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]},
        {"content": [{"type": "text", "text": "No"}]},
        {"content": None, "refusal": ", never."},
    ]
    pieces = [
        f"data: {json.dumps({'choices': [{'delta': delta, 'finish_reason': 'stop'}]})}\n\n".encode()
        for delta in deltas
    ]
    outside[ProviderKind.MISTRAL].fault = Stream(lambda events: pieces)
    message = (await chat(client, ProviderKind.MISTRAL)).json()["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("Hm.", "No, never.")


@pytest.mark.parametrize("arguments", ["[1]", "{oops", "[" * 10_000])
async def test_arguments_that_are_no_object_are_the_clients_mistake(
    client: httpx.AsyncClient, outside: Fakes, arguments: str
) -> None:
    function = {"name": "add", "arguments": arguments}
    turns = [
        *HELLO,
        {
            "role": "assistant",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "5"},
    ]
    found = await chat(client, ProviderKind.ANTHROPIC, messages=turns)
    assert found.status_code == 400
    assert "arguments" in found.json()["error"]["message"]
    assert not outside[ProviderKind.ANTHROPIC].seen


async def test_ids_that_a_provider_would_not_take_are_others_and_agree(
    client: httpx.AsyncClient, outside: Fakes
) -> None:
    call_id = "functions.add:0 é"
    function = {"name": "add", "arguments": "{}"}
    turns = [
        *HELLO,
        {
            "role": "assistant",
            "tool_calls": [{"id": call_id, "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": call_id, "content": " "},
    ]
    for kind in KINDS:
        outside[kind].says = Says()
        found = await chat(client, kind, messages=turns)
        assert found.status_code == 200, found.text
