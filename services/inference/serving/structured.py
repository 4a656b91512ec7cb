"""What a generated text must be, as a request says it."""

from __future__ import annotations

import json

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb
from services.inference.engines.generation import Structured, StructuredKind

_MAX_BYTES = 64 * 1024  # an engine compiles it while others wait
_MAX_CHOICES = 1000


def to_structured(message: pb.StructuredOutput) -> Structured:
    """Raises BadRequest with the field of the OpenAI API, or of vLLM's, in `param`."""
    name = message.WhichOneof("constraint")
    if name is None:
        raise BadRequest(
            "A structured output needs one of its constraints.", param="structured_outputs"
        )
    kind = StructuredKind(name)
    if message.ByteSize() > _MAX_BYTES:
        raise BadRequest(
            f"{name} has {message.ByteSize()} bytes; {_MAX_BYTES} are allowed.", param=kind.param
        )
    if kind is StructuredKind.CHOICE:
        return Structured(kind, choices=_choices(message.choice))
    if kind is StructuredKind.JSON_OBJECT:
        if not message.json_object:
            raise BadRequest("json_object must be true where it is set.", param=kind.param)
        return Structured(kind)
    text: str = getattr(message, name)
    if not text.strip():
        raise BadRequest(f"{name} is empty.", param=kind.param)
    if kind is StructuredKind.JSON_SCHEMA:
        _check_schema(text)
    return Structured(kind, text)


def _choices(message: pb.Choices) -> tuple[str, ...]:
    choices = tuple(message.texts)
    param = StructuredKind.CHOICE.param
    if not 1 <= len(choices) <= _MAX_CHOICES:
        raise BadRequest(f"Send 1 to {_MAX_CHOICES} choices, not {len(choices)}.", param=param)
    if not all(choices):
        raise BadRequest("A choice is empty.", param=param)
    return choices


def _check_schema(text: str) -> None:
    param = StructuredKind.JSON_SCHEMA.param
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The JSON schema is not JSON: {error}.", param=param) from error
    if not isinstance(schema, dict):
        raise BadRequest("A JSON schema must be a JSON object.", param=param)
