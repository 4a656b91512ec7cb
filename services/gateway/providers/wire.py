"""How a kind of server is spoken to: a generation as its request, its events as messages.

A new kind is a Wire and a line in kinds.py. A Wire knows no key, no connection and no model's name
for clients; errors that it raises are the client's (BadRequest).
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from services.cluster.errors import BadRequest, EngineUnavailable
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.provider_records import ProviderModel

# Values that ask for nothing, where it is not 0. Of log-probabilities 0 asks for some.
_OFF = {"repetition_penalty": 1.0, "num_logprobs": None}


@dataclass(frozen=True)
class WireRequest:
    """`path` is relative to the provider's address; `body` is posted as JSON, None is a GET.
    The text of the answer ends before the first of `ends`, which the server may not know.
    """

    path: str
    body: dict[str, Any] | None = None
    ends: Collection[str] = ()


class WireAnswer(ABC):
    """The events of one answer, in the order in which they come."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes, where an event says so."""
        return False

    @property
    def is_said(self) -> bool:
        """Whether the text is whole: only figures may follow, and some servers send none."""
        return False

    @abstractmethod
    def read(self, event: dict[str, Any]) -> Iterable[pb.GenerateResponse]:
        """What an event says. Raises EngineUnavailable for one that tells of an error."""

    @abstractmethod
    def end(self) -> pb.GenerateResponse:
        """The message with `finish`. Raises EngineUnavailable where the answer was broken off."""


class Wire(ABC):
    models_path = "/models"

    @abstractmethod
    def headers(self, key: str) -> dict[str, str]:
        """`key` "" for a server that wants none."""

    @abstractmethod
    def generation(self, model: ProviderModel, request: pb.GenerateRequest) -> WireRequest:
        """Raises BadRequest for what cannot be asked of the model."""

    @abstractmethod
    def answer(self) -> WireAnswer: ...

    @abstractmethod
    def embedding(self, model: ProviderModel, request: pb.EmbedRequest) -> WireRequest:
        """Raises BadRequest where there are none."""

    @abstractmethod
    def embeddings(self, value: Any) -> pb.EmbedResponse:
        """The answer to it. Raises EngineUnavailable for one that cannot be read."""

    @abstractmethod
    def models(self, value: Any) -> list[ProviderModel]:
        """What a list of models says of each; context 0 where it says nothing."""


def unreadable() -> EngineUnavailable:
    return EngineUnavailable("The provider answered something that cannot be read. Ask again.")


def told(error: Any) -> EngineUnavailable:
    """An error that came within an answer."""
    said = error.get("message") if isinstance(error, dict) else error
    return EngineUnavailable(f"The provider broke off: {str(said)[:500].rstrip('.')}.")


def broken_off() -> EngineUnavailable:
    return EngineUnavailable("The provider's answer ended in the middle. Ask again.")


def endless() -> EngineUnavailable:
    return EngineUnavailable("The provider's answer is longer than any model's: it was broken off.")


def no_stream(content_type: str) -> EngineUnavailable:
    """`content_type` is what the provider calls its answer."""
    said = f" but {content_type[:100]}" if content_type else ""
    return EngineUnavailable(
        f"The provider answered no stream of events{said}; an administrator can see on the page"
        " Providers whether its address is right."
    )


def num_tokens(value: Any) -> int:
    """Of a usage; 0 where it says nothing that can be counted."""
    return value if type(value) is int and 0 <= value < 2**32 else 0


def call_id(given: str, pattern: re.Pattern[str]) -> str:
    """The id of a tool call as the server takes ids: another one, always the same, for one that
    some other server made.
    """
    if pattern.fullmatch(given):
        return given
    return hashlib.blake2b(given.encode(), digest_size=8).hexdigest()[:9]


def refuse_given(sampling: pb.SamplingParameters, names: Collection[str], whose: str) -> None:
    """Raises BadRequest for a parameter that is set and that the server does not have."""
    for field, value in sampling.ListFields():
        if field.name in names and value != _OFF.get(field.name, 0):
            raise BadRequest(
                f"{whose} has no {field.name}; leave it out or ask another model.",
                param=field.name,
            )
