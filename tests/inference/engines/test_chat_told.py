from __future__ import annotations

from dataclasses import dataclass

from services.inference.engines.chat import ToolCallDelta
from services.inference.engines.chat_told import ToldSoFar
from services.inference.engines.generation import Delta


@dataclass
class Whole:
    name: str
    arguments: str
    id: str | None = None


def told(*deltas: Delta) -> ToldSoFar:
    found = ToldSoFar()
    for delta in deltas:
        found.add(delta)
    return found


def test_the_rest_of_a_text_is_what_follows_what_was_told() -> None:
    assert told(Delta(text="a "), Delta(text="<")).rest_of_text("a <tool") == "tool"
    assert told(Delta(text="other")).rest_of_text("a <tool") == ""
    assert told(Delta(text="a")).rest_of_text("") == ""


def test_calls_that_were_told_whole_have_no_rest() -> None:
    parts = [
        ToolCallDelta(0, "c0", "look"),
        ToolCallDelta(0, arguments='{"a":'),
        ToolCallDelta(0, arguments="1}"),
    ]
    so_far = told(*(Delta(tool_calls=[part]) for part in parts))
    assert so_far.rest_of_calls([Whole("look", '{"a":1}')]) == []
    assert so_far.rest_of_calls([Whole("look", '{"a": 1}')]) == []  # written otherwise


def test_what_is_missing_of_calls_is_the_rest() -> None:
    so_far = told(Delta(tool_calls=[ToolCallDelta(0, "c0", "look", '{"a"')]))
    rest = so_far.rest_of_calls([Whole("look", '{"a": 1}'), Whole("write", "{}", "c1")])
    assert rest == [ToolCallDelta(0, arguments=": 1}"), ToolCallDelta(1, "c1", "write", "{}")]
    [new] = told().rest_of_calls([Whole("write", "{}")])
    assert new.call_id
