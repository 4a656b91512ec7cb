"""Who asks an engine for tokens: by Generate, by Session, or directly over a unix socket."""

from __future__ import annotations

import asyncio
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from services.cluster.errors import Internal
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.pb.v1 import replica_pb2_grpc as rpc
from tests.bench.token_frames import Frame, FrameReader

Prompt = Sequence[int]


@dataclass
class Answer:
    """`first_seconds` from the question to its first token."""

    token_ids: list[int] = field(default_factory=list)
    first_seconds: float = 0.0
    asked_at: float = field(default_factory=time.perf_counter)

    def add(self, token_ids: Sequence[int]) -> None:
        if not self.token_ids:
            self.first_seconds = time.perf_counter() - self.asked_at
        self.token_ids.extend(token_ids)


@dataclass(frozen=True)
class Burst:
    """Answers in the order of their prompts, and how long all of them took.

    `front_seconds` is processor time of the process that was asked, without the engine's own.
    """

    answers: Sequence[Answer]
    seconds: float
    front_seconds: float = 0.0

    @property
    def num_tokens(self) -> int:
        return sum(len(answer.token_ids) for answer in self.answers)

    @property
    def tokens_per_second(self) -> float:
        return self.num_tokens / self.seconds


class Caller(ABC):
    """`pid` is of the process that it asks."""

    def __init__(self, pid: int) -> None:
        self._front = psutil.Process(pid)

    @abstractmethod
    async def ask(self, prompt: Prompt) -> Answer: ...

    async def burst(self, prompts: Sequence[Prompt], num_concurrent: int) -> Burst:
        """Each of `num_concurrent` askers takes the next prompt when it has its answer."""
        answers: dict[int, Answer] = {}
        numbered = iter(enumerate(prompts))

        async def go_on() -> None:
            for number, prompt in numbered:
                answers[number] = await self.ask(prompt)

        before = self._front_seconds()
        begun = time.perf_counter()
        await asyncio.gather(*(go_on() for _ in range(num_concurrent)))
        seconds = time.perf_counter() - begun
        return Burst(
            [answers[number] for number in range(len(prompts))],
            seconds,
            self._front_seconds() - before,
        )

    def _front_seconds(self) -> float:
        times = self._front.cpu_times()
        return times.user + times.system


class GenerateCaller(Caller):
    """An RPC for each generation."""

    def __init__(self, stub: rpc.ReplicaAsyncStub, max_tokens: int, pid: int) -> None:
        super().__init__(pid)
        self._stub = stub
        self._max_tokens = max_tokens

    async def ask(self, prompt: Prompt) -> Answer:
        answer = Answer()
        async for response in self._stub.Generate(_request(prompt, self._max_tokens)):
            answer.add(response.token_ids)
        return answer


class _Slots:
    """Answers that come in parts, each part with the number of its question."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._open: dict[int, tuple[Answer, asyncio.Future[Answer]]] = {}

    def open(self) -> tuple[int, asyncio.Future[Answer]]:
        number = next(self._numbers)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[number] = Answer(), future
        return number, future

    def add(self, number: int, token_ids: Sequence[int], last: bool) -> None:
        answer, future = self._open[number]
        answer.add(token_ids)
        if last:
            del self._open[number]
            future.set_result(answer)

    def fail(self, number: int, message: str) -> None:
        self._open.pop(number)[1].set_exception(Internal(message))


class SessionCaller(Caller):
    """One stream for all generations."""

    def __init__(self, stub: rpc.ReplicaAsyncStub, max_tokens: int, pid: int) -> None:
        super().__init__(pid)
        self._max_tokens = max_tokens
        self._slots = _Slots()
        self._requests: asyncio.Queue[pb.SessionRequest] = asyncio.Queue()
        self._call = stub.Session(self._sent())
        self._reader = asyncio.create_task(self._read())

    async def ask(self, prompt: Prompt) -> Answer:
        slot, answer = self._slots.open()
        request = _request(prompt, self._max_tokens)
        start = pb.SessionStart(slot=slot, request=request, credit=self._max_tokens)
        self._requests.put_nowait(pb.SessionRequest(start=start))
        return await answer

    async def close(self) -> None:
        self._call.cancel()
        await asyncio.wait([self._reader])

    async def _sent(self) -> AsyncIterator[pb.SessionRequest]:
        while True:
            yield await self._requests.get()

    async def _read(self) -> None:
        async for message in self._call:
            for delta in message.deltas:
                if delta.HasField("error"):
                    self._slots.fail(delta.slot, delta.error.message)
                    continue
                response = delta.response
                self._slots.add(delta.slot, response.token_ids, response.HasField("finish"))


class DirectCaller(Caller, asyncio.Protocol):
    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self._frames = FrameReader()
        self._slots = _Slots()

    @classmethod
    async def connect(cls, socket: Path, pid: int) -> DirectCaller:
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_unix_connection(lambda: cls(pid), str(socket))
        return caller

    async def ask(self, prompt: Prompt) -> Answer:
        number, answer = self._slots.open()
        self._transport.write(Frame(number, prompt).encode())
        return await answer

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport

    def data_received(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            self._slots.add(frame.number, frame.token_ids, frame.last)

    def close(self) -> None:
        self._transport.close()


def _request(prompt: Prompt, max_tokens: int) -> pb.GenerateRequest:
    return pb.GenerateRequest(
        prompt=pb.Prompt(tokens=pb.TokenIds(ids=prompt)),
        sampling=pb.SamplingParameters(max_tokens=max_tokens, temperature=0),
    )
