from __future__ import annotations

import json
from typing import Any

import pytest

from services.cluster.errors import BadRequest, PayloadTooLarge
from services.cluster.pb.v1 import replica_pb2 as pb
from services.inference.engines.chat import ToolChoice
from services.inference.serving.chats import chat_messages, images, to_options

TOOLS = [{"type": "function", "function": {"name": name}} for name in ("look", "write")]


def chat(**fields: Any) -> pb.Chat:
    return pb.Chat(**{"tools_json": json.dumps(TOOLS), **fields})


def test_chat_messages_are_what_templates_expect() -> None:
    call = pb.ToolCall(id="c1", name="f", arguments='{"x": 1}')
    broken = pb.ToolCall(id="c2", name="f", arguments="{x")
    found = chat_messages(
        [
            pb.ChatMessage(role="user", content="hi", name="ann"),
            pb.ChatMessage(role="assistant", tool_calls=[call, broken]),
            pb.ChatMessage(role="tool", content="2", tool_call_id="c1"),
        ]
    )
    assert found[0] == {"role": "user", "content": "hi", "name": "ann"}
    assert [c["function"]["arguments"] for c in found[1]["tool_calls"]] == [{"x": 1}, "{x"]
    assert found[2] == {"role": "tool", "content": "2", "tool_call_id": "c1"}


def test_a_message_keeps_what_it_was_reasoned_from() -> None:
    (found,) = chat_messages([pb.ChatMessage(role="assistant", content="4", reasoning="2 + 2")])
    assert found["reasoning"] == found["reasoning_content"] == "2 + 2"
    assert "reasoning" not in chat_messages([pb.ChatMessage(role="assistant")])[0]


def test_the_choice_of_a_tool() -> None:
    plain = to_options(chat(), has_tool_parser=False)
    assert (plain.tool_choice, plain.tools, plain.parallel_tool_calls) == (
        ToolChoice.AUTO,
        TOOLS,
        True,
    )
    none = to_options(chat(tool_choice=pb.TOOL_CHOICE_NONE), has_tool_parser=False)
    assert not none.tools
    required = to_options(
        chat(tool_choice=pb.TOOL_CHOICE_REQUIRED, parallel_tool_calls=False), has_tool_parser=True
    )
    assert required.forces_a_call
    assert not required.parallel_tool_calls
    named = to_options(chat(tool_name="write"), has_tool_parser=True)
    assert (named.tool_choice, named.tool_name) == (ToolChoice.NAMED, "write")


@pytest.mark.parametrize(
    ("message", "param", "sentence"),
    [
        (chat(tool_name="walk"), "tool_choice", "none of the tools .look, write."),
        (chat(tools_json="", tool_name="look"), "tools", "no tools"),
        (pb.Chat(tool_choice=pb.TOOL_CHOICE_REQUIRED), "tools", "no tools"),
        (chat(tools_json="{"), "tools", "tools is not JSON"),
        (chat(tools_json="[" * 100_000), "tools", "tools is not JSON"),
        (chat(tools_json="{}"), "tools", "must be a list of objects"),
        (chat(tools_json="[1]"), "tools", "must be a list of objects"),
        (chat(chat_template_kwargs_json="{"), "chat_template_kwargs", "not JSON"),
        (chat(chat_template_kwargs_json="1"), "chat_template_kwargs", "must be an object"),
    ],
)
def test_what_no_chat_can_ask_is_refused(message: pb.Chat, param: str, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence) as refused:
        to_options(message, has_tool_parser=True)
    assert refused.value.param == param


def test_without_a_parser_no_call_can_be_forced() -> None:
    for message in (chat(tool_name="look"), chat(tool_choice=pb.TOOL_CHOICE_REQUIRED)):
        with pytest.raises(BadRequest, match="no tool parser") as refused:
            to_options(message, has_tool_parser=False)
        assert refused.value.param == "tool_choice"


def test_parts_of_text_are_one_text() -> None:
    parts = [pb.ContentPart(text="a"), pb.ContentPart(text="b")]
    assert chat_messages([pb.ChatMessage(role="user", parts=parts)])[0]["content"] == "ab"


def test_images_are_named_in_the_message_and_kept_beside_it() -> None:
    parts = [pb.ContentPart(text="what is"), pb.ContentPart(image=b"1")]
    messages = [
        pb.ChatMessage(role="user", parts=parts),
        pb.ChatMessage(role="user", parts=[pb.ContentPart(image=b"2")]),
    ]
    found = chat_messages(messages)
    assert found[0]["content"] == [{"type": "text", "text": "what is"}, {"type": "image"}]
    assert images(messages, takes_images=True) == [b"1", b"2"]
    with pytest.raises(BadRequest, match="takes no images") as refused:
        images(messages, takes_images=False)
    assert refused.value.param == "messages"


def test_images_are_bounded() -> None:
    def with_images(*files: bytes) -> list[pb.ChatMessage]:
        return [pb.ChatMessage(parts=[pb.ContentPart(image=file) for file in files])]

    with pytest.raises(BadRequest, match="17 images"):
        images(with_images(*[b"1"] * 17), takes_images=True)
    with pytest.raises(PayloadTooLarge, match="8388609 bytes"):
        images(with_images(b"1" * (8 * 1024 * 1024 + 1)), takes_images=True)
