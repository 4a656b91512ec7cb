"""What a chat in OpenAI's words asks of a replica, and what is refused before it is asked."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.dialects.openai_requests import ChatRequest
from services.gateway.request_body import parse
from tests.gateway.conftest import Gateway

TOOL = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}
HELLO = {"role": "user", "content": "hello"}


def asked(**body: Any) -> pb.Chat:
    return parse(ChatRequest, {"messages": [HELLO], **body}).to_prompt().chat


def sampling(**body: Any) -> pb.SamplingParameters:
    return parse(ChatRequest, {"messages": [HELLO], **body}).chat_sampling()


def test_tools_go_to_the_template_as_they_are() -> None:
    chat = asked(tools=[TOOL])
    assert json.loads(chat.tools_json) == [TOOL]
    assert chat.tool_choice == pb.TOOL_CHOICE_UNSPECIFIED
    assert not chat.HasField("parallel_tool_calls")


@pytest.mark.parametrize(
    ("choice", "number"),
    [
        ("auto", pb.TOOL_CHOICE_AUTO),
        ("none", pb.TOOL_CHOICE_NONE),
        ("required", pb.TOOL_CHOICE_REQUIRED),
    ],
)
def test_a_choice_of_tools(choice: str, number: int) -> None:
    assert asked(tools=[TOOL], tool_choice=choice).tool_choice == number


def test_a_named_tool_and_one_call_at_most() -> None:
    named = {"type": "function", "function": {"name": "read"}}
    chat = asked(tools=[TOOL], tool_choice=named, parallel_tool_calls=False)
    assert (chat.tool_name, chat.parallel_tool_calls) == ("read", False)


def test_parts_are_kept_in_their_order() -> None:
    image = base64.b64encode(b"file").decode()
    content = [
        {"type": "text", "text": "before"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
        {"type": "refusal", "refusal": "no"},
    ]
    (message,) = asked(messages=[{"role": "user", "content": content}]).messages
    assert [part.WhichOneof("part") for part in message.parts] == ["text", "image", "text"]
    assert (message.parts[0].text, message.parts[1].image) == ("before", b"file")


@pytest.mark.parametrize("url", ["https://host/a.png", "data:text/plain;base64,YQ==", "a", "data:"])
def test_nothing_is_fetched(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(BadRequest, match="Hearth fetches nothing"):
        asked(messages=[{"role": "user", "content": [part]}])


def test_an_image_must_be_base64() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}}
    with pytest.raises(BadRequest, match="no base64"):
        asked(messages=[{"role": "user", "content": [part]}])


def test_what_a_call_brought_goes_back() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    spoken = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "text"}
    _, second, third = asked(messages=[HELLO, spoken, result]).messages
    assert (second.tool_calls[0].name, second.content) == ("read", "")
    assert (third.role, third.tool_call_id, third.content) == ("tool", "c1", "text")


def test_the_form_of_an_answer() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    named = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    assert json.loads(sampling(response_format=named).structured.json_schema) == schema
    assert sampling(response_format={"type": "json_object"}).structured.json_object
    assert not sampling(response_format={"type": "text"}).HasField("structured")
    for wrong in ({"type": "json_schema"}, {"type": "xml"}):
        with pytest.raises(BadRequest, match="response_format"):
            sampling(response_format=wrong)


def test_reasoning_is_told_to_the_template() -> None:
    def told(**body: Any) -> Any:
        return json.loads(asked(**body).chat_template_kwargs_json or "{}")

    assert told() == {}
    assert told(reasoning_effort="low") == {"reasoning_effort": "low", "enable_thinking": True}
    assert told(reasoning_effort="none")["enable_thinking"] is False
    own = {"enable_thinking": True}
    assert told(reasoning_effort="none", chat_template_kwargs=own)["enable_thinking"] is True


def test_settings_that_vllm_has_beyond_openai() -> None:
    found = sampling(min_p=0.1, repetition_penalty=1.5, min_tokens=3, seed=0)
    assert (found.min_p, found.repetition_penalty) == (0.1, 1.5)
    assert (found.min_tokens, found.seed) == (3, 0)
    assert not sampling().HasField("min_p")


async def test_a_model_without_eyes_says_so(gateway: Gateway) -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,YQ=="}}
    async with gateway.client() as client:
        refused = await client.post(
            "/v1/chat/completions", json={"messages": [{"role": "user", "content": [part]}]}
        )
    assert refused.status_code == 400
    assert "takes no images" in refused.json()["detail"]
    assert refused.json()["error"]["param"] == "messages"
