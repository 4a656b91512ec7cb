"""Messages of the proto as plain values, and the words of their enums: one mapping for all of them.

Names stay as they are. An enum is its word in lower case without the enum's name, None where it is
unset. A time is in unix seconds, 0 for never. What may be unset and is so is None.
"""

from __future__ import annotations

import math
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

_UNSET = "UNSPECIFIED"


def values_of(message: Message) -> dict[str, Any]:
    """By field name, down to the leaves."""
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields}


def words_of(enum: EnumDescriptor) -> dict[int, str]:
    """Words by number, without the one for unset."""
    prefix = enum.values_by_number[0].name.removesuffix(_UNSET)
    return {
        value.number: value.name.removeprefix(prefix).lower()
        for value in enum.values
        if value.number
    }


def number_of(enum: EnumDescriptor, word: str) -> Any:
    """The number of one of its words."""
    return {known: number for number, known in words_of(enum).items()}[word]


def _field(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_single(each, field) for each in value]
    if field.has_presence and not message.HasField(field.name):
        is_time = field.message_type is not None and field.message_type is Timestamp.DESCRIPTOR
        return 0.0 if is_time else None
    return _single(value, field)


def _single(value: Any, field: Any) -> Any:
    if isinstance(value, Timestamp):
        return value.seconds + value.nanos / 1e9
    if isinstance(value, Value):
        return _json_value(value)
    if isinstance(value, Message):
        return values_of(value)
    if field.enum_type is not None:
        return words_of(field.enum_type).get(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it
    return value


def _json_value(message: Value) -> Any:
    """A protobuf Value holds every number as a double."""
    value: Any = MessageToDict(message)
    return int(value) if isinstance(value, float) and value.is_integer() else value
