from __future__ import annotations

import pytest

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb
from services.inference.engines.generation import Structured, StructuredKind
from services.inference.serving.structured import to_structured


def test_each_constraint_is_read() -> None:
    read = [
        to_structured(message)
        for message in (
            pb.StructuredOutput(json_schema='{"type": "object"}'),
            pb.StructuredOutput(json_object=True),
            pb.StructuredOutput(regex="a+"),
            pb.StructuredOutput(choice=pb.Choices(texts=["a", "b"])),
            pb.StructuredOutput(grammar='root ::= "a"'),
        )
    ]
    assert read == [
        Structured(StructuredKind.JSON_SCHEMA, '{"type": "object"}'),
        Structured(StructuredKind.JSON_OBJECT),
        Structured(StructuredKind.REGEX, "a+"),
        Structured(StructuredKind.CHOICE, choices=("a", "b")),
        Structured(StructuredKind.GRAMMAR, 'root ::= "a"'),
    ]


@pytest.mark.parametrize(
    ("message", "param", "sentence"),
    [
        (pb.StructuredOutput(), "structured_outputs", "needs one"),
        (pb.StructuredOutput(json_schema="{"), "response_format", "not JSON"),
        (pb.StructuredOutput(json_schema="[" * 100_000), "response_format", "65536 are allowed"),
        (pb.StructuredOutput(json_schema="[" * 60_000), "response_format", "not JSON"),
        (pb.StructuredOutput(json_schema="[]"), "response_format", "JSON object"),
        (pb.StructuredOutput(json_object=False), "response_format", "must be true"),
        (pb.StructuredOutput(regex=" "), "structured_outputs", "regex is empty"),
        (pb.StructuredOutput(grammar=""), "structured_outputs", "grammar is empty"),
        (pb.StructuredOutput(choice=pb.Choices()), "structured_outputs", "1 to 1000 choices"),
        (pb.StructuredOutput(choice=pb.Choices(texts=["a", ""])), "structured_outputs", "empty"),
    ],
)
def test_what_is_no_constraint_is_refused(
    message: pb.StructuredOutput, param: str, sentence: str
) -> None:
    with pytest.raises(BadRequest, match=sentence) as raised:
        to_structured(message)
    assert raised.value.param == param
