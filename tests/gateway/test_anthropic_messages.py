"""/v1/messages, to the echo engine and to one that says what a test gave it to say."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.inference.chat_template import ChatTemplate
from services.inference.engines.base import EngineConfig
from services.inference.engines.chat import ToolCallDelta, ToolChoice
from services.inference.engines.echo_engine import EchoEngine
from services.inference.engines.generation import (
    Delta,
    Finish,
    FinishReason,
    GenerationRequest,
    StructuredKind,
)
from tests.gateway.anthropic_client import IMAGE, QUESTION, TOOLS, post
from tests.gateway.conftest import (
    MODEL,
    EchoReplica,
    Gateway,
    deployment,
    echo_replica,
    gateway_settings,
    serving,
)


class ScriptedEngine(EchoEngine):
    """Says `script`, deltas whose last has a finish."""

    takes_images = True
    script: Sequence[Delta] = ()

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(replace(config, tool_parser="hermes"))

    async def _generate(self, request: GenerationRequest) -> AsyncGenerator[Delta]:
        self.requests.append(request)
        for delta in self.script:
            yield delta


@pytest_asyncio.fixture
async def scripted(
    store: Store, settings: ClusterSettings, tmp_path: Path
) -> AsyncIterator[EchoReplica]:
    registry = Registry(store)
    await registry.put_deployment(deployment())
    async with echo_replica(settings, registry, "r1", tmp_path, ScriptedEngine) as replica:
        yield replica


@pytest_asyncio.fixture
async def script_gateway(
    store: Store, settings: ClusterSettings, scripted: EchoReplica
) -> AsyncIterator[Gateway]:
    async with serving(gateway_settings(settings), store) as gateway:
        yield gateway


def say(replica: EchoReplica, *deltas: Delta, reason: str = "stop", stop: str = "") -> None:
    """The finish is a delta of its own: 10 tokens of prompt, 4 of them cached, 7 generated."""
    assert isinstance(replica.engine, ScriptedEngine)
    finish = Finish(FinishReason(reason), stop, 10, 7, 4)
    replica.engine.script = [*deltas, Delta(finish=finish)]


def call(index: int, arguments: str, name: str = "", call_id: str = "") -> Delta:
    return Delta(tool_calls=[ToolCallDelta(index, call_id, name, arguments)])


async def events(gateway: Gateway, **body: Any) -> list[dict[str, Any]]:
    """Without the pings."""
    answer = await post(gateway, stream=True, **body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    assert found.count({"type": "ping"}) == 1
    return [item for item in found if item["type"] != "ping"]


def rebuilt(told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The message that events build; each block is begun, filled and ended before the next."""
    start, *middle, delta, stop = told
    message: dict[str, Any] = start["message"]
    open_index = None
    for item in middle:
        index = item["index"]
        if item["type"] == "content_block_start":
            assert open_index is None
            assert index == len(message["content"])
            message["content"].append(item["content_block"])
            open_index = index
            arguments = ""
            continue
        assert index == open_index
        block = message["content"][index]
        if item["type"] == "content_block_stop":
            open_index = None
            if arguments:
                block["input"] = json.loads(arguments)
            continue
        kind = item["delta"]["type"]
        if kind == "input_json_delta":
            arguments += item["delta"]["partial_json"]
        else:
            field = kind.removesuffix("_delta")
            block[field] += item["delta"][field]
    assert open_index is None
    assert delta["type"] == "message_delta"
    assert stop == {"type": "message_stop"}
    return {**message, **delta["delta"], "usage": delta["usage"]}


async def both(gateway: Gateway, **body: Any) -> dict[str, Any]:
    """The answer, which is the same whole and streamed."""
    whole = await post(gateway, **body)
    assert whole.status_code == 200, whole.text
    message: dict[str, Any] = whole.json()
    streamed = rebuilt(await events(gateway, **body))
    assert {**streamed, "id": message["id"]} == message
    return message


def last_request(replica: EchoReplica) -> GenerationRequest:
    return replica.engine.requests[-1]


def prompt_of(replica: EchoReplica) -> str:
    return replica.engine.tokenizer.decode(last_request(replica).prompt_token_ids)


async def test_a_message_whole_and_streamed(gateway: Gateway, replica: EchoReplica) -> None:
    message = await both(gateway, max_tokens=8, system="be brief", metadata={"user_id": "u"})
    assert message["id"].startswith("msg_")
    assert (message["type"], message["role"]) == ("message", "assistant")
    assert message["model"] == MODEL
    assert isinstance(message["caps_version"], int)
    (block,) = message["content"]
    assert block == {"type": "text", "text": "system\nb"}
    assert (message["stop_reason"], message["stop_sequence"]) == ("max_tokens", None)
    usage = message["usage"]
    assert usage["output_tokens"] == 8
    assert usage["input_tokens"] == len(last_request(replica).prompt_token_ids)
    assert "<|im_start|>system\nbe brief<|im_end|>" in prompt_of(replica)


async def test_the_string_that_ended_it_is_named(gateway: Gateway) -> None:
    message = await both(gateway, stop_sequences=["nope", "llo"])
    assert message["stop_reason"] == "stop_sequence"
    assert message["stop_sequence"] == "llo"
    assert message["content"][0]["text"].endswith("he")


async def test_thinking_text_and_a_call(script_gateway: Gateway, scripted: EchoReplica) -> None:
    say(
        scripted,
        Delta(reasoning="I should "),
        Delta(reasoning="look."),
        Delta(text="\n\n"),
        Delta(text="Let me see."),
        call(0, "", "look", "call_1"),
        call(0, '{"at": '),
        call(0, '"x"}'),
        reason="tool_calls",
    )
    message = await both(script_gateway, tools=TOOLS)
    assert message["content"] == [
        {"type": "thinking", "thinking": "I should look.", "signature": "unsigned"},
        {"type": "text", "text": "\n\nLet me see."},
        {"type": "tool_use", "id": "call_1", "name": "look", "input": {"at": "x"}},
    ]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"] == {
        "input_tokens": 6,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "output_tokens": 7,
    }


async def test_blocks_come_one_after_the_other(
    script_gateway: Gateway, scripted: EchoReplica
) -> None:
    """What is late for the first call, as of a parser that reads the end again, is not lost."""
    say(
        scripted,
        call(0, '{"at": ', "look", "call_1"),
        call(1, '{"a"', "write", "call_2"),
        Delta(text="\n"),
        call(1, ": 1}"),
        call(0, "2}"),
        call(2, "", "look", "call_3"),
        reason="tool_calls",
    )
    message = await both(script_gateway, tools=TOOLS)
    assert [(block["id"], block["input"]) for block in message["content"]] == [
        ("call_1", {"at": 2}),
        ("call_2", {"a": 1}),
        ("call_3", {}),
    ]


async def test_a_call_is_streamed_as_it_is_written(
    script_gateway: Gateway, scripted: EchoReplica
) -> None:
    say(scripted, call(0, '{"at"', "look", "call_1"), call(0, ": 1}"), reason="tool_calls")
    told = await events(script_gateway, tools=TOOLS)
    pieces = [item["delta"] for item in told if item["type"] == "content_block_delta"]
    assert [piece["partial_json"] for piece in pieces] == ['{"at"', ": 1}"]


@pytest.mark.parametrize("deltas", [[], [Delta(text=" \n")]])
async def test_an_empty_answer_has_an_empty_block(
    script_gateway: Gateway, scripted: EchoReplica, deltas: list[Delta]
) -> None:
    say(scripted, *deltas)
    message = await both(script_gateway)
    assert message["content"] == [{"type": "text", "text": ""}]
    assert message["stop_reason"] == "end_turn"


@pytest.mark.parametrize("arguments", ['{"at": x}', "[1]", '{"at": NaN}', "[" * 100_000])
async def test_a_broken_call_is_an_error_before_it_ends(
    script_gateway: Gateway, scripted: EchoReplica, arguments: str
) -> None:
    say(scripted, call(0, arguments, "look", "call_1"), reason="tool_calls")
    whole = await post(script_gateway, tools=TOOLS)
    assert whole.status_code == 500
    assert whole.json()["error"]["type"] == "api_error"
    assert "look" in whole.json()["error"]["message"]
    told = await events(script_gateway, tools=TOOLS)
    assert told[-1] == whole.json()
    assert "content_block_stop" not in [item["type"] for item in told]


@pytest.mark.parametrize(
    ("reason", "stop", "found"),
    [("length", "", "max_tokens"), ("tool_calls", "END", "stop_sequence")],
)
async def test_a_call_that_was_cut_is_not_told_as_one(
    script_gateway: Gateway, scripted: EchoReplica, reason: str, stop: str, found: str
) -> None:
    deltas = [Delta(text="See:"), call(0, '{"at": "/tm', "look", "call_1")]
    say(scripted, *deltas, reason=reason, stop=stop)
    message = (await post(script_gateway, tools=TOOLS, stop_sequences=["END"])).json()
    assert message["content"] == [{"type": "text", "text": "See:"}]
    assert message["stop_reason"] == found
    *_, delta, _ = await events(script_gateway, tools=TOOLS)
    assert delta["delta"]["stop_reason"] == found


async def test_what_a_conversation_holds_reaches_the_template(
    script_gateway: Gateway, scripted: EchoReplica
) -> None:
    say(scripted, Delta(text="ok"))
    scripted.engine.tokenizer.chat_template = ChatTemplate("{{ messages | tojson }}", {})
    cached = {"cache_control": {"type": "ephemeral"}}
    answer = await post(
        script_gateway,
        system=[
            {"type": "text", "text": "x-anthropic-billing-header: cch=1;"},
            {"type": "text", "text": "one", **cached},
            {"type": "text", "text": "two", "citations": None},
        ],
        messages=[
            QUESTION,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "unsigned"},
                    {"type": "redacted_thinking", "data": "zzz"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1}},
                    {"type": "tool_use", "id": "c2", "name": "write", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "seen", **cached},
                    {
                        "type": "tool_result",
                        "tool_use_id": "c2",
                        "content": [{"type": "text", "text": "no space"}],
                        "is_error": True,
                    },
                    {"type": "text", "text": "go on"},
                ],
            },
            {"role": "system", "content": "a reminder"},
        ],
    )
    assert answer.status_code == 200, answer.text
    system, question, told, seen, failed, rest = json.loads(prompt_of(scripted))
    assert system == {"role": "system", "content": "one\n\ntwo"}
    assert question == QUESTION
    assert (told["content"], told["reasoning_content"]) == ("I look.", "hm")
    assert [c["function"]["arguments"] for c in told["tool_calls"]] == [{"at": 1}, {}]
    assert seen == {"role": "tool", "content": "seen", "tool_call_id": "c1", "name": "look"}
    assert (failed["content"], failed["name"]) == ("Error: no space", "write")
    assert rest == {"role": "user", "content": "go on\n\na reminder"}


async def test_images_are_files_in_their_places(
    script_gateway: Gateway, scripted: EchoReplica
) -> None:
    say(scripted, Delta(text="ok"))
    result = {"type": "tool_result", "tool_use_id": "c", "content": [IMAGE]}
    content = [result, {"type": "text", "text": "what is it?"}, IMAGE]
    answer = await post(script_gateway, messages=[{"role": "user", "content": content}])
    assert answer.status_code == 200, answer.text
    assert list(last_request(scripted).images) == [b"\x89PNG"] * 2


@pytest.mark.parametrize(
    ("choice", "found", "name", "parallel"),
    [
        (None, ToolChoice.AUTO, "", True),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice.AUTO, "", False),
        ({"type": "any"}, ToolChoice.REQUIRED, "", True),
        ({"type": "tool", "name": "write"}, ToolChoice.NAMED, "write", True),
        ({"type": "none"}, ToolChoice.NONE, "", True),
    ],
)
async def test_tools_and_their_choice(
    script_gateway: Gateway,
    scripted: EchoReplica,
    choice: dict[str, Any] | None,
    found: ToolChoice,
    name: str,
    parallel: bool,
) -> None:
    say(scripted, Delta(text="ok"))
    answer = await post(script_gateway, tools=TOOLS, tool_choice=choice)
    assert answer.status_code == 200, answer.text
    chat = last_request(scripted).chat
    assert chat is not None
    assert (chat.tool_choice, chat.tool_name) == (found, name)
    assert chat.parallel_tool_calls is parallel
    if found is ToolChoice.NONE:
        assert not chat.tools
        return
    parameters = {"type": "object", "properties": {"at": {}}}
    function = {"name": "look", "description": "Looks.", "parameters": parameters}
    assert chat.tools[0] == {"type": "function", "function": function}


async def test_sampling_and_the_form_of_the_answer(
    script_gateway: Gateway, scripted: EchoReplica
) -> None:
    say(scripted, Delta(text="{}"))
    schema = {"type": "object"}
    answer = await post(
        script_gateway,
        temperature=0.25,
        top_p=0.5,
        top_k=7,
        stop_sequences=["a", ""],
        max_tokens=10**6,
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": schema}},
        context_management={"edits": []},
        service_tier="auto",
    )
    assert answer.status_code == 200, answer.text
    sampling = last_request(scripted).sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.25, 0.5, 7)
    assert sampling.stop == ("a",)
    assert sampling.max_tokens < 4096
    assert sampling.structured is not None
    assert sampling.structured.kind is StructuredKind.JSON_SCHEMA
    assert json.loads(sampling.structured.text) == schema
