"""A view that is made from a message of the proto: what it does not name, it does not show."""

from __future__ import annotations

from typing import Any, Self

from google.protobuf.message import Message
from pydantic import model_validator

from services.gateway.proto_values import values_of
from services.gateway.views import View


class MessageView(View):
    """Its fields have the message's names. Enums are words; what is unset is null, a time 0."""

    @classmethod
    def of(cls, message: Message) -> Self:
        return cls.model_validate(values_of(message))


class SpecView(MessageView):
    """What a person decides, the message's `spec`, stands beside the rest."""

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, values: dict[str, Any]) -> dict[str, Any]:
        return values | (values.get("spec") or {})


class EventsView(View):
    """Server-sent events: each field is the name of one, and its type that of the event's data."""

    @classmethod
    def data_of(cls, name: str, values: dict[str, Any]) -> dict[str, Any]:
        kind = cls.model_fields[name].annotation
        assert isinstance(kind, type)
        assert issubclass(kind, View)
        return kind.model_validate(values).model_dump()
