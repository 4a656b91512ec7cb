"""What a request for a response asks of a replica, and what is refused before it is asked."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.dialects.openai_responses_request import ResponsesRequest
from services.gateway.request_body import parse

TOOL = {"type": "function", "name": "read", "parameters": {"type": "object"}}
CALL = {"type": "function_call", "call_id": "c1", "name": "read", "arguments": '{"a":1}'}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "text"}
FILE = base64.b64encode(b"file").decode()
IMAGE = {"type": "input_image", "image_url": f"data:image/png;base64,{FILE}", "detail": "auto"}


def request(given: Any = "hello", **body: Any) -> ResponsesRequest:
    return parse(ResponsesRequest, {"input": given, **body})


def asked(given: Any = "hello", **body: Any) -> pb.Chat:
    return request(given, **body).to_prompt().chat


def roles_and_texts(chat: pb.Chat) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in chat.messages]


def test_text_is_what_the_user_says() -> None:
    assert roles_and_texts(asked("hello")) == [("user", "hello")]
    assert roles_and_texts(asked("hello", instructions="short")) == [
        ("system", "short"),
        ("user", "hello"),
    ]


def test_messages_in_either_form() -> None:
    said = {
        "type": "message",
        "id": "msg_1",
        "status": "completed",
        "role": "assistant",
        "content": [
            {"type": "output_text", "text": "a", "annotations": [], "logprobs": None},
            {"type": "refusal", "refusal": "b"},
        ],
    }
    chat = asked([{"role": "user", "content": "hello"}, said, {"role": "user", "content": []}])
    assert roles_and_texts(chat) == [("user", "hello"), ("assistant", "ab"), ("user", "")]


def test_system_messages_at_the_start_are_one() -> None:
    chat = asked(
        [
            {"role": "developer", "content": [{"type": "input_text", "text": "b"}]},
            {"role": "system", "content": "c"},
            {"role": "user", "content": "hello"},
            {"role": "developer", "content": "d"},
        ],
        instructions="a",
    )
    assert roles_and_texts(chat) == [("system", "a\n\nb\n\nc"), ("user", "hello"), ("system", "d")]


def test_images_keep_their_places() -> None:
    before = {"type": "input_text", "text": "before"}
    (message,) = asked([{"role": "user", "content": [before, IMAGE]}]).messages
    assert message.content == ""
    assert [(part.text, part.image) for part in message.parts] == [("before", b""), ("", b"file")]


def test_what_an_assistant_did_at_once_is_one_message() -> None:
    second = {**CALL, "call_id": "c2", "name": "list", "arguments": None}
    chat = asked(
        [
            {"role": "user", "content": "hello"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None},
            {"role": "assistant", "content": "I look."},
            CALL,
            second,
            {"role": "assistant", "content": " Wait."},
            {**RESULT, "id": None},
            {**RESULT, "call_id": "c2", "output": [{"type": "input_text", "text": "b"}]},
            CALL,
        ]
    )
    _, spoken, first, other, last = chat.messages
    assert (spoken.role, spoken.content) == ("assistant", "I look. Wait.")
    assert [(c.id, c.name, c.arguments) for c in spoken.tool_calls] == [
        ("c1", "read", '{"a":1}'),
        ("c2", "list", ""),
    ]
    assert [(m.role, m.tool_call_id, m.name, m.content) for m in (first, other)] == [
        ("tool", "c1", "read", "text"),
        ("tool", "c2", "list", "b"),
    ]
    assert (last.role, last.tool_calls[0].id) == ("assistant", "c1")


def test_an_image_that_a_tool_brought() -> None:
    chat = asked([CALL, {**RESULT, "output": [IMAGE]}])
    assert chat.messages[1].parts[0].image == b"file"


def test_tools_in_the_form_of_a_chat() -> None:
    chat = asked(tools=[{**TOOL, "description": None, "strict": True}], parallel_tool_calls=False)
    assert json.loads(chat.tools_json) == [
        {
            "type": "function",
            "function": {"name": "read", "parameters": {"type": "object"}, "strict": True},
        }
    ]
    assert chat.parallel_tool_calls is False
    assert asked().tools_json == ""


@pytest.mark.parametrize(
    ("choice", "number", "name"),
    [
        ("auto", pb.TOOL_CHOICE_AUTO, ""),
        ("none", pb.TOOL_CHOICE_NONE, ""),
        ("required", pb.TOOL_CHOICE_REQUIRED, ""),
        ({"type": "function", "name": "read"}, pb.TOOL_CHOICE_UNSPECIFIED, "read"),
    ],
)
def test_a_choice_of_tools(choice: Any, number: int, name: str) -> None:
    chat = asked(tools=[TOOL], tool_choice=choice)
    assert (chat.tool_choice, chat.tool_name) == (number, name)


def test_the_form_of_the_text() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    named = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    sampling = request(text={"format": named, "verbosity": "low"}).to_sampling()
    assert json.loads(sampling.structured.json_schema) == schema
    assert request(text={"format": {"type": "json_object"}}).to_sampling().structured.json_object
    for free in ({}, {"format": None}, {"format": {"type": "text"}}):
        assert not request(text=free).to_sampling().HasField("structured")


def test_sampling() -> None:
    found = request(max_output_tokens=7, temperature=0, top_p=0.5, seed=3).to_sampling()
    assert (found.max_tokens, found.temperature, found.top_p, found.seed) == (7, 0, 0.5, 3)
    unset = request(max_tokens=9).to_sampling()
    assert not unset.HasField("max_tokens")
    assert not unset.HasField("num_logprobs")
    wanted = request(include=["message.output_text.logprobs"], top_logprobs=2)
    assert wanted.to_sampling().num_logprobs == 2


def test_reasoning_is_told_to_the_template() -> None:
    chat = asked(reasoning={"effort": "none", "summary": "auto"})
    assert json.loads(chat.chat_template_kwargs_json) == {
        "reasoning_effort": "none",
        "enable_thinking": False,
    }
    assert asked(reasoning={"effort": None}).chat_template_kwargs_json == ""


def test_tools_that_only_their_makers_run_are_left_out_beside_others() -> None:
    """As Codex sends them whatever it talks to; the answer repeats what is left."""
    web = {"type": "web_search", "external_web_access": False}
    spaces = {"type": "namespace", "name": "mcp__db", "tools": [TOOL]}
    found = request(tools=[web, TOOL, spaces, {"type": "custom", "name": "apply_patch"}])
    assert found.told()["tools"] == request(tools=[TOOL]).told()["tools"]
    assert found.to_prompt() == request(tools=[TOOL]).to_prompt()
    assert request(tools=[TOOL, web], tool_choice="required").tool_choice == "required"


def test_what_no_server_of_this_kind_heeds_is_ignored() -> None:
    request(
        store=True,
        user="u",
        service_tier="auto",
        background=False,
        truncation="auto",
        prompt_cache_key="k",
        max_tool_calls=3,
        include=["reasoning.encrypted_content"],
        previous_response_id=None,
    )


@pytest.mark.parametrize(
    ("body", "words", "param"),
    [
        ({"previous_response_id": "resp_1"}, "send the whole input", "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "send the whole input", "conversation"),
        ({"background": True}, "in the background", "background"),
        ({"prompt": {"id": "pmpt_1"}}, "instructions and input", "prompt"),
        ({"moderation": {"model": "m"}}, "nothing is moderated", "moderation"),
        ({"tools": [{"type": "web_search"}]}, "there is no other: Hearth runs no tools", "tools"),
        (
            {"tools": [TOOL, {"type": "web_search"}], "tool_choice": {"type": "web_search"}},
            "'web_search' cannot be had: Hearth runs no tools",
            "tool_choice",
        ),
        ({"tools": [{"type": "function"}]}, "tools.0.name", "tools"),
        ({"tool_choice": "always"}, "tool_choice", "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools"}}, "must be auto, none", "tool_choice"),
        ({"text": {"format": {"type": "json_schema"}}}, "schema goes with", "text"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "text"),
        ({"top_logprobs": 2}, "message.output_text.logprobs", None),
        ({"n": 2}, "ask several times", None),
        ({"max_output_tokens": 0}, "max_output_tokens", "max_output_tokens"),
        ({"metadata": {"a": 1}}, "metadata", "metadata"),
        ({"input": []}, "input", "input"),
        ({"input": None}, "input", "input"),
        ({"input": 3}, "input", "input"),
        ({"input": ["hello"]}, "input", "input"),
        ({"input": [{"role": "tool", "content": "a"}]}, "input.0.message.role", "input"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "send the item itself", "input"),
        (
            {"input": [{"type": "web_search_call"}]},
            "item 0 has the type 'web_search_call'",
            "input",
        ),
        ({"input": [{"type": [3]}]}, "item 0 has the type [3]", "input"),
        ({"input": [RESULT]}, "no function_call", "input"),
        ({"input": [{"type": "reasoning"}]}, "nothing to answer", "input"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
            "files are not read",
            "input",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "fetches nothing",
            "input",
        ),
        (
            {
                "input": [
                    {"role": "user", "content": [{**IMAGE, "image_url": "https://host/a.png"}]}
                ]
            },
            "fetches nothing",
            "input",
        ),
    ],
)
def test_what_is_not_offered_is_said(body: dict[str, Any], words: str, param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(ResponsesRequest, {"input": "hello", **body}).to_prompt()
    assert words in refused.value.message
    assert refused.value.message.endswith(".")
    assert refused.value.param == param
