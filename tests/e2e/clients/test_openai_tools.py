"""The openai SDK calls tools, in chats and responses: a real model answers, by its own figures.

A canned answer would not hold to a schema that was drawn a moment ago, nor tell the loss that
transformers computes of the same tokens, nor move the engine's counters by what it says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.clients.conftest import ToolModel
from tests.e2e.clients.drawn_tool import DrawnTool
from tests.e2e.clients.engine_counters import EngineTokens
from tests.e2e.running import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.clients]

NUM_TOKENS = 16


@pytest.fixture
def sdk(cluster: Cluster) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{cluster.url}/v1", api_key=cluster.token, max_retries=0) as sdk:
        yield sdk


class Answer:
    """One answer of a chat, whole or put together of its chunks."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: dict[int, dict[str, Any]] = {}
        self.tokens: list[str] = []
        self.logprobs: list[float] = []
        self.reason = ""
        self.usage: Any = None

    def add(self, said: Any, logprobs: Any, reason: str | None) -> None:
        self.text += said.content or ""
        for index, call in enumerate(said.tool_calls or ()):
            place = getattr(call, "index", index)
            known = self.calls.setdefault(place, {"id": "", "name": "", "arguments": ""})
            known["id"] += call.id or ""
            known["name"] += call.function.name or ""
            known["arguments"] += call.function.arguments or ""
        for token in logprobs.content if logprobs else ():
            self.tokens.append(token.token)
            self.logprobs.append(token.logprob)
        self.reason = reason or self.reason

    @property
    def told(self) -> EngineTokens:
        return EngineTokens(self.usage.prompt_tokens, self.usage.completion_tokens)


def asked(sdk: openai.OpenAI, *, stream: bool, **body: Any) -> Answer:
    answer = Answer()
    body = {"temperature": 0, "logprobs": True, **body}
    create: Any = sdk.chat.completions.create
    if not stream:
        whole = create(**body)
        (choice,) = whole.choices
        answer.add(choice.message, choice.logprobs, choice.finish_reason)
        answer.usage = whole.usage
        return answer
    usage = {"include_usage": True}
    for chunk in create(**body, stream=True, stream_options=usage):
        for choice in chunk.choices:
            answer.add(choice.delta, choice.logprobs, choice.finish_reason)
        answer.usage = chunk.usage or answer.usage
    return answer


def check(model: ToolModel, answer: Answer, prompt: list[int], *, is_held: bool) -> None:
    """Its tokens are those that it counts, as likely as transformers says they are.

    Where an answer is held to a form, the engine tells how likely a token is among those that the
    form allows: never less than among all.
    """
    assert answer.usage.prompt_tokens == len(prompt)
    assert answer.usage.completion_tokens == len(answer.tokens)
    expected = model.reference.logprobs(prompt, model.reference.ids_of(answer.tokens))
    if is_held:
        pairs = zip(answer.logprobs, expected, strict=True)
        assert all(0 >= found > free - 1e-2 for found, free in pairs)
    else:
        assert answer.logprobs == pytest.approx(expected, abs=1e-2)
        assert sum(answer.logprobs) == pytest.approx(sum(expected), abs=1e-2)


def check_loss(sdk: openai.OpenAI, model: ToolModel, ids: list[int]) -> None:
    """The engine's loss of any tokens is that of transformers."""
    (choice,) = sdk.completions.create(
        model=model.name, prompt=ids, echo=True, logprobs=0, max_tokens=0
    ).choices
    assert choice.logprobs is not None
    found = [value or 0.0 for value in choice.logprobs.token_logprobs or ()][1:]
    assert found == pytest.approx(model.reference.logprobs(ids[:1], ids[1:]), abs=1e-2)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("forced", ["named", "required"])
def test_a_chat_calls_a_tool_and_reads_its_result(
    sdk: openai.OpenAI, tool_model: ToolModel, tool: DrawnTool, stream: bool, forced: str
) -> None:
    named = {"type": "function", "function": {"name": tool.name}}
    messages: list[dict[str, Any]] = [{"role": "user", "content": tool.question}]
    body: dict[str, Any] = {
        "model": tool_model.name,
        "tools": [tool.function],
        "parallel_tool_calls": False,
    }
    told: list[EngineTokens] = []
    with tool_model.counters.grow_by(told):
        choice = named if forced == "named" else "required"
        called = asked(sdk, stream=stream, messages=messages, tool_choice=choice, **body)
        told.append(called.told)
        (call,) = called.calls.values()
        result = tool.run(json.loads(call["arguments"]))
        function = {"name": call["name"], "arguments": call["arguments"]}
        messages += [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": call["id"], "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": call["id"], "content": result},
        ]
        # Where no call is allowed, the model is shown no tools.
        body |= {"tool_choice": "auto" if stream else "none", "max_tokens": NUM_TOKENS}
        last = asked(sdk, stream=stream, messages=messages, **body)
        told.append(last.told)
    assert (call["name"], called.reason) == (tool.name, "tool_calls")
    assert last.calls == {}
    assert last.text
    reference = tool_model.reference
    prompt = reference.prompt(tool.messages(), [tool.function])
    check(tool_model, called, prompt, is_held=True)
    check_loss(sdk, tool_model, prompt + reference.ids_of(called.tokens))
    tools = [tool.function] if stream else []
    prompt = reference.prompt(tool.messages(call["arguments"], result), tools)
    check(tool_model, last, prompt, is_held=False)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_response_calls_a_tool_and_reads_its_result(
    sdk: openai.OpenAI, tool_model: ToolModel, tool: DrawnTool, stream: bool
) -> None:
    """What comes out goes in again as it is. Codex's own tools beside it change nothing."""
    function = {"type": "function", **tool.function["function"]}
    given: list[Any] = [{"role": "user", "content": tool.question}]
    body: dict[str, Any] = {
        "model": tool_model.name,
        "tools": [{"type": "web_search"}, function],
        "temperature": 0,
        "include": ["message.output_text.logprobs"],
    }
    told: list[EngineTokens] = []
    with tool_model.counters.grow_by(told):
        choice = {"type": "function", "name": tool.name}
        called = responded(sdk, stream=stream, input=given, tool_choice=choice, **body)
        (call,) = called.output
        result = tool.run(json.loads(call.arguments))
        given += [item.to_dict() for item in called.output]
        given.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
        last = responded(sdk, stream=stream, input=given, max_output_tokens=NUM_TOKENS, **body)
        told += [EngineTokens(r.usage.input_tokens, r.usage.output_tokens) for r in (called, last)]
    assert (call.type, call.name, called.status) == ("function_call", tool.name, "completed")
    reference = tool_model.reference
    prompt = reference.prompt(tool.messages(), [tool.function])
    assert called.usage.input_tokens == len(prompt)
    prompt = reference.prompt(tool.messages(call.arguments, result), [tool.function])
    assert last.usage.input_tokens == len(prompt)
    (message,) = last.output
    (part,) = message.content
    ids = reference.ids_of([entry.token for entry in part.logprobs])
    assert last.usage.output_tokens - len(ids) == (last.status == "completed")  # its end
    assert reference.text_of(ids) == last.output_text
    found = [entry.logprob for entry in part.logprobs]
    assert found == pytest.approx(reference.logprobs(prompt, ids), abs=1e-2)


def responded(sdk: openai.OpenAI, *, stream: bool, **body: Any) -> Any:
    if not stream:
        return sdk.responses.create(**body)
    *_, last = sdk.responses.create(**body, stream=True)
    return last.response
