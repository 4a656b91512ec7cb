"""A request in some dialect: what it asks of the replicas, and how their answer is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.auth import Caller
from services.gateway.generation import Generation, Usage, run
from services.gateway.problems import OPENAI_PROBLEMS, ProblemForm
from services.gateway.routing import Target, Use
from services.gateway.state import GatewayState


class Asked(Protocol):
    """What every body has."""

    model: str | None


B = TypeVar("B", bound=Asked)


@dataclass
class Answering:
    """The speakers' side of one request. `usage` is whole when `messages` has ended."""

    state: GatewayState
    caller: Caller
    target: Target
    generations: Sequence[Generation]
    priority: int
    usage: Usage = field(default_factory=Usage)

    @property
    def caps_version(self) -> int:
        return self.state.view.caps_version

    async def messages(self) -> AsyncGenerator[tuple[Generation, pb.GenerateResponse]]:
        """Every message of every generation, as they come. Closing it cancels all of them."""
        messages = run(
            self.state.speakers, self.target, self.caller, self.generations, self.priority
        )
        async with aclosing(messages):
            async for generation, message in messages:
                if message.HasField("finish"):
                    self.usage.add(generation, message.finish)
                yield generation, message

    async def text_of(self, prompt: pb.Prompt) -> str:
        """The text of a prompt that is text or token ids."""
        if prompt.HasField("tokens"):
            request = pb.TokenizeRequest(tokens=prompt.tokens)
            return (await self.state.speakers.tokenize(self.target, request)).text
        return prompt.text

    async def num_tokens(self, prompt: pb.Prompt) -> int:
        """Of a prompt after its template."""
        request = pb.TokenizeRequest(prompt=prompt)
        return len((await self.state.speakers.tokenize(self.target, request)).tokens.ids)


class Exchange(ABC, Generic[B]):
    """One request and its answer. Methods raise BadRequest for what cannot be asked.

    `request` is the body, null fields taken out. `answer` and `event` describe the whole answer
    and the data of an event of a streamed one; None where nothing is streamed. `problems` is how
    errors are told, `error_event` names the event that tells of one after the first byte.
    """

    request: ClassVar[type[BaseModel]]
    answer: ClassVar[type[BaseModel]]
    event: ClassVar[Any] = None
    use: ClassVar[Use]
    priority: ClassVar[int]
    problems: ClassVar[ProblemForm] = OPENAI_PROBLEMS
    error_event: ClassVar[str] = ""

    def __init__(self, body: B) -> None:
        self.body = body

    @property
    def model(self) -> str:
        """As the client named it, "" for none."""
        return self.body.model or ""

    @property
    @abstractmethod
    def streams(self) -> bool: ...

    @abstractmethod
    def generations(self, target: Target) -> list[Generation]:
        """`target` is what will answer them."""

    @abstractmethod
    async def whole(self, answering: Answering) -> dict[str, Any]:
        """The answer as one JSON object."""

    @abstractmethod
    def events(self, answering: Answering) -> AsyncGenerator[bytes]:
        """The answer as server-sent events, to the last."""
