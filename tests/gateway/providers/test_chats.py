"""Chats of every dialect, answered by every kind of provider, whole and streamed."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from services.cluster.provider_records import ProviderKind
from tests.gateway.providers.conftest import CHATTING, Fakes
from tests.gateway.providers.fake_server import Call, Says

KINDS = list(ProviderKind)
HELLO = [{"role": "user", "content": "Say hello."}]
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"of": {"type": "array"}}},
    },
}
ADDS = Says(texts=("I add.",), calls=(Call("call_abc123", "add", ('{"of": [', "2, 3]}")),))
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def events(text: str) -> list[dict[str, Any]]:
    found = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    assert found, text
    return [json.loads(data) for data in found if data != "[DONE]"]


async def chat(client: httpx.AsyncClient, kind: ProviderKind, **body: Any) -> httpx.Response:
    given = {"model": CHATTING[kind], "messages": HELLO, **body}
    return await client.post("/v1/chat/completions", json=given)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_openai_chat(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind
) -> None:
    answer = await chat(client, kind, max_tokens=64, temperature=0.5, stop=["\n\n"], seed=-7)
    if kind is ProviderKind.ANTHROPIC:
        assert answer.status_code == 400
        assert "no seed" in answer.json()["error"]["message"]
        answer = await chat(client, kind, max_tokens=64, temperature=0.5, stop=["\n\n", "END"])
    assert answer.status_code == 200, answer.text
    (choice,) = answer.json()["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Hello, world."}
    assert choice["finish_reason"] == "stop"
    assert answer.json()["model"] == CHATTING[kind]
    assert answer.json()["usage"] == {
        "prompt_tokens": 11,
        "completion_tokens": 5,
        "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    (body,) = outside[kind].bodies
    assert body["stream"] is True
    assert body.get("max_completion_tokens", body.get("max_tokens")) == 64


@pytest.mark.parametrize("kind", KINDS)
async def test_a_streamed_openai_chat(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind
) -> None:
    answer = await chat(client, kind, stream=True, stream_options={"include_usage": True})
    told = events(answer.text)
    deltas = [event["choices"][0]["delta"] for event in told if event["choices"]]
    assert [d["content"] for d in deltas if d.get("content")] == ["Hello", ", wor", "ld."]
    assert told[-1]["usage"]["total_tokens"] == 16
    assert answer.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streams", [False, True])
async def test_tools_there_and_back(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind, streams: bool
) -> None:
    outside[kind].says = ADDS
    answer = await chat(
        client,
        kind,
        tools=[TOOL],
        tool_choice="required",
        parallel_tool_calls=False,
        stream=streams,
    )
    assert answer.status_code == 200, answer.text
    if streams:
        deltas = [
            call
            for event in events(answer.text)
            for call in event["choices"][0]["delta"].get("tool_calls", [])
        ]
        assert (deltas[0]["id"], deltas[0]["function"]["name"]) == ("call_abc123", "add")
        made = "".join(delta["function"]["arguments"] for delta in deltas)
    else:
        (call,) = answer.json()["choices"][0]["message"]["tool_calls"]
        assert (call["id"], call["function"]["name"]) == ("call_abc123", "add")
        assert answer.json()["choices"][0]["finish_reason"] == "tool_calls"
        made = call["function"]["arguments"]
    assert json.loads(made) == {"of": [2, 3]}
    outside[kind].says = Says()
    function = {"name": "add", "arguments": made}
    calls = [{"id": "call_abc123", "type": "function", "function": function}]
    turns = [
        {"role": "system", "content": "Be short."},
        *HELLO,
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_abc123", "content": "5"},
        {"role": "user", "content": "And?", "name": "ann"},
    ]
    answer = await chat(client, kind, tools=[TOOL], messages=turns, tool_choice="auto")
    assert answer.status_code == 200, answer.text
    sent = outside[kind].bodies[-1]
    if kind is ProviderKind.ANTHROPIC:
        assert sent["system"] == "Be short."
        assert sent["messages"][1]["content"][0]["input"] == {"of": [2, 3]}
        result, text = sent["messages"][2]["content"]
        assert result["content"] == [{"type": "text", "text": "5"}]
        assert text == {"type": "text", "text": "And?"}
    else:
        told = sent["messages"][2]["tool_calls"][0]
        assert json.loads(told["function"]["arguments"]) == {"of": [2, 3]}
        assert told["id"] == sent["messages"][3]["tool_call_id"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_without_arguments_has_an_empty_object(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind
) -> None:
    """Anthropic sends no JSON for it; clients parse what they get."""
    pieces = () if kind is ProviderKind.ANTHROPIC else ("{}",)
    outside[kind].says = Says(
        texts=(), calls=(Call("c1", "now", pieces), Call("c2", "add", ("{}",)))
    )
    answer = await chat(client, kind, tools=[TOOL])
    calls = answer.json()["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == ["{}", "{}"]


@pytest.mark.parametrize("kind", KINDS)
async def test_reasoning_comes_apart(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind
) -> None:
    outside[kind].says = Says(thoughts=("Hm", "m."))
    message = (await chat(client, kind)).json()["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("Hmm.", "Hello, world.")


@pytest.mark.parametrize(
    ("kind", "reason", "told"),
    [
        (ProviderKind.OPENAI, "length", "length"),
        (ProviderKind.MISTRAL, "model_length", "length"),
        (ProviderKind.OPENAI, "content_filter", "stop"),
        (ProviderKind.ANTHROPIC, "max_tokens", "length"),
        (ProviderKind.ANTHROPIC, "stop_sequence", "stop"),
        (ProviderKind.ANTHROPIC, "refusal", "stop"),
    ],
)
async def test_how_an_answer_ended(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind, reason: str, told: str
) -> None:
    outside[kind].says = Says(reason=reason)
    assert (await chat(client, kind)).json()["choices"][0]["finish_reason"] == told


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_without_usage_is_an_answer(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind
) -> None:
    outside[kind].says = Says(has_usage=False)
    answer = await chat(client, kind)
    assert answer.json()["choices"][0]["message"]["content"] == "Hello, world."


@pytest.mark.parametrize("kind", [ProviderKind.OPENAI, ProviderKind.ANTHROPIC])
async def test_an_image(client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    parts = [
        {"type": "text", "text": ""},
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    answer = await chat(client, kind, messages=[{"role": "user", "content": parts}])
    assert answer.status_code == 200, answer.text
    content = outside[kind].bodies[0]["messages"][0]["content"]
    if kind is ProviderKind.ANTHROPIC:
        text, image = content
        assert base64.b64decode(image["source"]["data"]) == PNG
        assert image["source"]["media_type"] == "image/png"
    else:
        text, image = content
        assert image["image_url"]["url"] == url
    assert text == {"type": "text", "text": "What is it?"}


@pytest.mark.parametrize("kind", [ProviderKind.OPENAI, ProviderKind.REMOTE])
async def test_logprobs(client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind) -> None:
    answer = await chat(client, kind, logprobs=True, top_logprobs=1)
    content = answer.json()["choices"][0]["logprobs"]["content"]
    assert len(content) == 3
    assert content[0]["logprob"] == pytest.approx(-0.5)


@pytest.mark.parametrize("kind", [ProviderKind.MISTRAL, ProviderKind.GROQ, ProviderKind.ANTHROPIC])
@pytest.mark.parametrize(
    ("name", "given"),
    [("num_logprobs", {"logprobs": True}), ("logit_bias", {"logit_bias": {"5": 3}})],
)
async def test_what_a_provider_does_not_have_is_refused_before_it_is_asked(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind, name: str, given: dict[str, Any]
) -> None:
    answer = await chat(client, kind, **given)
    assert answer.status_code == 400
    assert name in answer.json()["error"]["message"]
    assert not outside[kind].seen


@pytest.mark.parametrize("kind", KINDS)
async def test_several_answers(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind
) -> None:
    answer = await chat(client, kind, n=2)
    assert [c["message"]["content"] for c in answer.json()["choices"]] == ["Hello, world."] * 2
    assert answer.json()["usage"]["completion_tokens"] == 10
    assert answer.json()["usage"]["prompt_tokens"] == 11
    assert len(outside[kind].seen) == 2


async def test_more_heat_than_a_provider_has_is_its_most(
    client: httpx.AsyncClient, outside: Fakes
) -> None:
    answer = await chat(client, ProviderKind.MISTRAL, temperature=2, top_p=0.9)
    assert answer.status_code == 200, answer.text
    assert outside[ProviderKind.MISTRAL].bodies[0]["temperature"] == 1.5


async def test_claude_takes_no_sampling_parameters(
    client: httpx.AsyncClient, outside: Fakes
) -> None:
    answer = await chat(client, ProviderKind.ANTHROPIC, temperature=0.2, top_p=0.9, top_k=5)
    assert answer.status_code == 200, answer.text


async def test_parallel_tool_calls_without_tools_are_not_spoken_of(
    client: httpx.AsyncClient, outside: Fakes
) -> None:
    answer = await chat(client, ProviderKind.OPENAI, parallel_tool_calls=False)
    assert answer.status_code == 200, answer.text


async def test_a_json_schema(client: httpx.AsyncClient, outside: Fakes) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = await chat(client, ProviderKind.OPENAI, response_format=wanted)
    assert answer.status_code == 200, answer.text
    assert (
        outside[ProviderKind.OPENAI].bodies[0]["response_format"]["json_schema"]["schema"] == schema
    )
    answer = await chat(
        client, ProviderKind.ANTHROPIC, response_format=wanted, reasoning_effort="low"
    )
    assert answer.status_code == 200, answer.text
    config = outside[ProviderKind.ANTHROPIC].bodies[0]["output_config"]
    assert config == {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
    any_json = {"type": "json_object"}
    refused = await chat(client, ProviderKind.ANTHROPIC, response_format=any_json)
    assert "JSON schemas only" in refused.json()["error"]["message"]


async def test_what_a_chat_template_is_told_reaches_an_engine(
    client: httpx.AsyncClient, outside: Fakes
) -> None:
    asked = {"reasoning_effort": "low", "top_k": 7, "min_p": 0.1}
    answer = await chat(client, ProviderKind.REMOTE, **asked)
    assert answer.status_code == 200, answer.text
    (body,) = outside[ProviderKind.REMOTE].bodies
    assert (body["top_k"], body["min_p"]) == (7, pytest.approx(0.1))
    assert body["chat_template_kwargs"]["reasoning_effort"] == "low"
    effort = {"reasoning_effort": "low"}
    assert (await chat(client, ProviderKind.OPENAI, **effort)).status_code == 200
    assert outside[ProviderKind.OPENAI].bodies[0]["reasoning_effort"] == "low"
    assert (await chat(client, ProviderKind.MISTRAL, **effort)).status_code == 200
