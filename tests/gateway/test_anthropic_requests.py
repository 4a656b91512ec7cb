"""What /v1/messages counts, tells the template, and refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.gateway.dialects.anthropic_requests import ChatFields
from services.gateway.request_body import parse
from tests.gateway.anthropic_client import IMAGE, PATH, QUESTION, TOOLS, post
from tests.gateway.conftest import EchoReplica, Gateway

INVALID = "invalid_request_error"
URL = {"type": "url", "url": "https://example.com/x.png"}
SERVERS = [{"type": "url", "url": "https://example.com", "name": "x"}]


@pytest.mark.parametrize(
    ("thinking", "options"),
    [
        (None, {}),
        ({"type": "enabled", "budget_tokens": 2048}, {"enable_thinking": True}),
        ({"type": "adaptive"}, {"enable_thinking": True}),
        ({"type": "between_tools"}, {"enable_thinking": False}),
        ({"type": "disabled"}, {"enable_thinking": False}),
    ],
)
async def test_thinking_is_told_the_template(
    gateway: Gateway, replica: EchoReplica, thinking: Any, options: dict[str, bool]
) -> None:
    answer = await post(gateway, thinking=thinking, max_tokens=1)
    assert answer.status_code == 200, answer.text
    chat = replica.engine.requests[-1].chat
    assert chat is not None
    assert chat.template_options == options


async def test_tokens_are_counted_as_they_will_be_read(
    gateway: Gateway, replica: EchoReplica
) -> None:
    chat: dict[str, Any] = {"system": "be brief", "messages": [QUESTION], "tools": TOOLS}
    counted = await post(gateway, f"{PATH}/count_tokens", **chat)
    assert counted.status_code == 200, counted.text
    assert not replica.engine.requests
    answered = (await post(gateway, **chat, max_tokens=1)).json()
    assert counted.json() == {"input_tokens": answered["usage"]["input_tokens"]}


def test_tools_of_anthropics_own_are_left_out_beside_others() -> None:
    theirs = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    with_theirs, without = (
        parse(ChatFields, {"messages": [QUESTION], "tools": tools}).to_prompt().chat
        for tools in ([theirs, *TOOLS], TOOLS)
    )
    names = [tool["function"]["name"] for tool in json.loads(with_theirs.tools_json)]
    assert names == ["look", "write"]
    assert with_theirs == without


@pytest.mark.parametrize("strict", [True, False])
def test_a_tool_says_whether_its_schema_binds(strict: bool) -> None:
    tools = [{**TOOLS[0], "strict": strict}, TOOLS[1]]
    chat = parse(ChatFields, {"messages": [QUESTION], "tools": tools}).to_prompt().chat
    first, second = (tool["function"] for tool in json.loads(chat.tools_json))
    assert first["strict"] is strict
    assert "strict" not in second


def said(*blocks: dict[str, Any], role: str = "user") -> list[dict[str, Any]]:
    return [{"role": role, "content": list(blocks)}]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("body", "status", "kind", "word"),
    [
        ({"model": "claude-sonnet"}, 404, "not_found_error", "claude-sonnet"),
        ({"max_tokens": None}, 400, INVALID, "max_tokens"),
        ({"max_tokens": 0}, 400, INVALID, "max_tokens"),
        ({"messages": []}, 400, INVALID, "messages"),
        ({"messages": "x"}, 400, INVALID, "messages"),
        ({"messages": [{"role": "x"}]}, 400, INVALID, "role"),
        ({"messages": said(IMAGE)}, 400, INVALID, "takes no images"),
        (
            {"messages": said({"type": "image", "source": URL})},
            400,
            INVALID,
            "nothing is fetched",
        ),
        (
            {"messages": said({"type": "image", "source": {"type": "base64", "data": "?"}})},
            400,
            INVALID,
            "not base64",
        ),
        ({"messages": said({"type": "document"})}, 400, INVALID, "document"),
        (
            {"messages": said({"type": "tool_use", "id": "x", "name": "y", "input": {}})},
            400,
            INVALID,
            "no tool_use blocks",
        ),
        (
            {"messages": [QUESTION, {"role": "assistant", "content": "{"}]},
            400,
            INVALID,
            "must be the user's",
        ),
        ({"messages": said({"type": "text", "text": "x" * 5000})}, 400, INVALID, "4096"),
        ({"tools": [{"type": "web_search_20250305", "name": "w"}]}, 400, INVALID, "no other"),
        ({"tools": [{"name": "w"}]}, 400, INVALID, "input_schema"),
        ({"tools": TOOLS, "tool_choice": {"type": "tool"}}, 400, INVALID, "name"),
        ({"tools": TOOLS, "tool_choice": {"type": "any"}}, 400, INVALID, "tool parser"),
        ({"mcp_servers": SERVERS}, 400, INVALID, "MCP"),
        ({"temperature": 3}, 400, INVALID, "temperature"),
        ({"system": "\ud800"}, 400, INVALID, "surrogate"),
    ],
)
async def test_what_cannot_work_is_told_in_anthropics_form(
    gateway: Gateway, body: dict[str, Any], status: int, kind: str, word: str, stream: bool
) -> None:
    answer = await post(gateway, **{**body, "stream": stream})
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert set(told) == {"type", "error", "detail", "caps_version"}
    assert told["type"] == "error"
    assert told["error"]["type"] == kind
    assert word in told["error"]["message"]
    assert told["detail"] == told["error"]["message"]


async def test_who_may_not_is_told_in_the_same_form(gateway: Gateway) -> None:
    async with gateway.client(None) as client:
        for path in (PATH, f"{PATH}/count_tokens"):
            answer = await client.post(path, json={})
            assert answer.status_code == 401
            assert answer.json()["error"]["type"] == "authentication_error"
            assert "x-api-key" in answer.json()["detail"]


async def test_a_body_that_is_too_large_is_told_in_the_same_form(gateway: Gateway) -> None:
    answer = await post(gateway, system="x" * gateway.state.settings.max_prompt_bytes)
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "request_too_large"


async def test_the_form_of_other_dialects_is_their_own(gateway: Gateway) -> None:
    answer = await post(gateway, "/v1/chat/completions", messages=[])
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"


async def test_an_engine_that_is_away_may_be_asked_again(
    gateway: Gateway, replica: EchoReplica
) -> None:
    replica.engine.die()
    answer = await post(gateway)
    assert answer.status_code == 529
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["error"]["type"] == "overloaded_error"


async def test_an_error_in_the_middle_is_an_event(gateway: Gateway, replica: EchoReplica) -> None:
    told = []
    headers = {"x-api-key": next(iter(gateway.tokens.values()))}
    body = {"messages": [QUESTION], "max_tokens": 3000, "stream": True}
    async with (
        gateway.client(None) as client,
        client.stream("POST", PATH, json=body, headers=headers) as answer,
    ):
        async for line in answer.aiter_lines():
            if line:
                told.append(line)
            if len(told) == 12:
                replica.engine.die()
    assert told[-2] == "event: error"
    error = json.loads(told[-1].removeprefix("data: "))
    assert error["type"] == "error"
    assert error["error"]["type"] == "overloaded_error"
    assert error["detail"] == error["error"]["message"]
    assert "event: message_stop" not in told
