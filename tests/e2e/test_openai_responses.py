"""The openai SDK's responses, by a real model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.running import Cluster

pytestmark = pytest.mark.e2e

MODEL = "hearth/starter-coder"
QUESTION = "Write a Python function that adds two numbers."


@pytest.fixture
def sdk(cluster: Cluster) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{cluster.url}/v1", api_key=cluster.token) as sdk:
        yield sdk


def test_a_response_whole_and_streamed_is_the_chats_answer(sdk: openai.OpenAI) -> None:
    body: dict[str, Any] = {"model": MODEL, "input": QUESTION, "temperature": 0}
    whole = sdk.responses.create(**body, max_output_tokens=24)
    assert whole.output_text.strip()
    with sdk.responses.stream(**body, max_output_tokens=24) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
    assert len(deltas) > 3
    assert "".join(deltas) == whole.output_text
    chat = sdk.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": QUESTION}], max_tokens=24, temperature=0
    )
    assert chat.choices[0].message.content == whole.output_text
    assert chat.usage is not None
    assert whole.usage is not None
    assert whole.usage.input_tokens == chat.usage.prompt_tokens
    assert whole.usage.output_tokens == chat.usage.completion_tokens
    was_cut = chat.choices[0].finish_reason == "length"
    assert whole.status == ("incomplete" if was_cut else "completed")


def test_a_response_holds_to_a_schema(sdk: openai.OpenAI) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"even": {"type": "boolean"}, "kind": {"enum": ["int", "str"]}},
        "required": ["even", "kind"],
        "additionalProperties": False,
    }
    answer = sdk.responses.create(
        model=MODEL,
        input=QUESTION,
        temperature=0,
        text={"format": {"type": "json_schema", "name": "n", "schema": schema}},
    )
    found = json.loads(answer.output_text)
    assert isinstance(found["even"], bool)
    assert found["kind"] in ("int", "str")


def test_what_came_out_goes_in_again(sdk: openai.OpenAI) -> None:
    given: list[Any] = [{"role": "user", "content": QUESTION}]
    first = sdk.responses.create(model=MODEL, input=given, max_output_tokens=8, temperature=0)
    given += [item.to_dict() for item in first.output]
    given.append({"role": "user", "content": "Shorter."})
    second = sdk.responses.create(
        model=MODEL, input=given, instructions="Be brief.", max_output_tokens=8
    )
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens


def test_errors_are_of_the_sdks_classes(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="send the whole input"):
        sdk.responses.create(model=MODEL, input=QUESTION, previous_response_id="resp_1")
    with pytest.raises(openai.BadRequestError) as raised:
        sdk.responses.create(model=MODEL, input="word " * 20_000, truncation="auto")
    assert raised.value.code == "context_length_exceeded"
    with pytest.raises(openai.NotFoundError):
        sdk.responses.create(model="no/such-model", input=QUESTION, stream=True)
