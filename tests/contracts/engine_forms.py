"""What every engine promises of the form of its text; a part of TestEngine, on the same engine."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from services.cluster.errors import BadRequest
from services.inference.engines.chat import ChatOptions, ToolChoice
from services.inference.engines.generation import FinishReason, Structured, StructuredKind
from tests.contracts.engines import VLLM, Subject


class HeldForms:
    async def test_a_choice_is_one_of_them(self, subject: Subject) -> None:
        choices = ["a fox", "no fox at all"]
        structured = Structured(StructuredKind.CHOICE, choices=choices)
        answer = await subject.say(structured=structured, temperature=1.0, seed=3)
        assert answer.text in choices
        assert answer.finish.reason is FinishReason.STOP
        cut = await subject.say(structured=structured, max_tokens=1)
        assert cut.finish.reason is FinishReason.LENGTH

    @pytest.mark.parametrize("subject", [VLLM], indirect=True)
    async def test_what_is_said_has_the_wanted_form(self, subject: Subject) -> None:
        async def say(kind: StructuredKind, text: str = "") -> str:
            structured = Structured(kind, text)
            answer = await subject.say(structured=structured, max_tokens=100)
            assert answer.finish.reason is FinishReason.STOP
            return answer.text

        schema = {
            "type": "object",
            "properties": {"size": {"enum": [1, 2]}, "name": {"type": "string", "maxLength": 3}},
            "required": ["size", "name"],
            "additionalProperties": False,
        }
        found = json.loads(await say(StructuredKind.JSON_SCHEMA, json.dumps(schema)))
        assert found["size"] in (1, 2)
        assert found.keys() == {"size", "name"}
        assert re.fullmatch("[ab]{3}-[0-9]", await say(StructuredKind.REGEX, "[ab]{3}-[0-9]"))
        assert await say(StructuredKind.GRAMMAR, 'root ::= "x" "y" | "z"') in ("xy", "z")

    @pytest.mark.parametrize("subject", [VLLM], indirect=True)
    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            (StructuredKind.JSON_SCHEMA, '{"type": "nonsense"}'),
            (StructuredKind.REGEX, "a(b"),
            (StructuredKind.GRAMMAR, "root ::= nowhere"),
        ],
    )
    async def test_a_form_that_is_none_is_refused(
        self, subject: Subject, kind: StructuredKind, text: str
    ) -> None:
        with pytest.raises(BadRequest) as raised:
            await subject.say(structured=Structured(kind, text))
        assert raised.value.param == kind.param
        assert (await subject.say()).text

    @pytest.mark.parametrize("subject", [VLLM], indirect=True)
    @pytest.mark.parametrize("choice", [ToolChoice.REQUIRED, ToolChoice.NAMED])
    async def test_a_forced_call_arrives_in_parts(
        self, subject: Subject, choice: ToolChoice
    ) -> None:
        """The model is of random weights: what it says is a call because nothing else may be."""
        schema = {
            "type": "object",
            "properties": {"place": {"enum": ["here", "there"]}},
            "required": ["place"],
            "additionalProperties": False,
        }
        tool = {
            "type": "function",
            "function": {"name": "look", "parameters": schema, "strict": True},
        }
        name = "look" if choice is ToolChoice.NAMED else ""
        chat = ChatOptions([tool], choice, name, parallel_tool_calls=False)
        request = replace(subject.request(max_tokens=200), chat=chat)
        answer = await subject.answer(request)
        assert answer.text == ""
        assert answer.finish.reason is FinishReason.TOOL_CALLS
        first, *rest = [call for delta in answer.deltas for call in delta.tool_calls]
        assert first.call_id
        assert (first.index, first.name) == (0, "look")
        assert not any(call.name or call.index for call in rest)
        arguments = "".join(call.arguments for call in (first, *rest))
        assert json.loads(arguments)["place"] in ("here", "there")

    @pytest.mark.parametrize("subject", [VLLM], indirect=True)
    async def test_tools_that_are_none_are_refused(self, subject: Subject) -> None:
        chat = ChatOptions([{"type": "function", "function": {}}])
        with pytest.raises(BadRequest, match="name") as raised:
            await subject.answer(replace(subject.request(), chat=chat))
        assert raised.value.param == "tools"
