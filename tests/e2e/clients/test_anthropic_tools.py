"""The anthropic SDK calls tools: the answers are those that the openai SDK gets, figures and all.

Anthropic's API tells no log-probabilities. So each answer is asked for in both dialects, and the
openai SDK's tokens, which test_openai_tools.py holds against transformers, must be the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.e2e.clients.conftest import ToolModel
from tests.e2e.clients.drawn_tool import DrawnTool
from tests.e2e.clients.engine_counters import EngineTokens
from tests.e2e.running import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.clients]

NUM_TOKENS = 16


@pytest.fixture
def sdk(cluster: Cluster) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=cluster.url, api_key=cluster.token, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def other(cluster: Cluster) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{cluster.url}/v1", api_key=cluster.token, max_retries=0) as sdk:
        yield sdk


def asked(sdk: anthropic.Anthropic, *, stream: bool, **body: Any) -> Any:
    body = {"extra_body": {"temperature": 0}, **body}
    if not stream:
        return sdk.messages.create(**body)
    with sdk.messages.stream(**body) as events:
        return events.get_final_message()


def told(message: Any) -> EngineTokens:
    usage = message.usage
    num_prompt = usage.input_tokens + (usage.cache_read_input_tokens or 0)
    return EngineTokens(num_prompt, usage.output_tokens)


def in_a_chat(other: openai.OpenAI, tool: DrawnTool, **body: Any) -> Any:
    """The same by the openai SDK. The tokens of its answer are those of its log-probabilities."""
    create: Any = other.chat.completions.create
    answer = create(temperature=0, logprobs=True, tools=[tool.function], **body)
    (choice,) = answer.choices
    assert answer.usage.completion_tokens == len(choice.logprobs.content)
    return answer


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("forced", ["tool", "any"])
def test_a_message_calls_a_tool_and_reads_its_result(
    sdk: anthropic.Anthropic,
    other: openai.OpenAI,
    tool_model: ToolModel,
    tool: DrawnTool,
    stream: bool,
    forced: str,
) -> None:
    description = tool.function["function"]["description"]
    body: dict[str, Any] = {
        "model": tool_model.name,
        "tools": [
            {"name": tool.name, "description": description, "input_schema": tool.schema},
        ],
    }
    choice = {"type": "any", "disable_parallel_tool_use": True}
    if forced == "tool":
        choice = {"type": "tool", "name": tool.name}
    messages: list[Any] = [{"role": "user", "content": tool.question}]
    grown: list[EngineTokens] = []
    with tool_model.counters.grow_by(grown):
        called = asked(
            sdk, stream=stream, messages=messages, tool_choice=choice, max_tokens=1024, **body
        )
        (use,) = called.content
        result = tool.run(use.input)
        messages += [
            {"role": "assistant", "content": [use.to_dict()]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": use.id, "content": result}],
            },
        ]
        last = asked(sdk, stream=stream, messages=messages, max_tokens=NUM_TOKENS, **body)
        grown += [told(called), told(last)]
    assert (use.type, use.name, called.stop_reason) == ("tool_use", tool.name, "tool_use")
    reference = tool_model.reference
    arguments = json.dumps(use.input)
    question = tool.messages()
    assert told(called).prompt == len(reference.prompt(question, [tool.function]))
    assert sdk.messages.count_tokens(messages=messages, **body).input_tokens == told(last).prompt
    prompt = reference.prompt(tool.messages(arguments, result), [tool.function])
    assert told(last).prompt == len(prompt)

    named: Any = {"type": "function", "function": {"name": tool.name}}
    chat: dict[str, Any] = {"model": tool_model.name, "parallel_tool_calls": False}
    required = named if forced == "tool" else "required"
    same = in_a_chat(other, tool, messages=question, tool_choice=required, **chat)
    (call,) = same.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == use.input
    assert same.usage.completion_tokens == told(called).generated
    shown = tool.messages(arguments, result)
    shown[1]["tool_calls"] = [call.to_dict()]
    shown[2]["tool_call_id"] = call.id
    same = in_a_chat(other, tool, messages=shown, max_tokens=NUM_TOKENS, **chat)
    assert [block.text for block in last.content] == [same.choices[0].message.content]
    assert same.usage.completion_tokens == told(last).generated
