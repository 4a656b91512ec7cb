"""One request to several generations, merged in the order in which their tokens come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from services.cluster.log import request_id_var
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.tasks import end
from services.gateway.auth import Caller
from services.gateway.metrics import FIRST_TOKEN_SECONDS, TOKENS
from services.gateway.routing import Target
from services.gateway.upstream.speakers import Speakers

COMPLETION_PRIORITY = 0
CHAT_PRIORITY = 10
_PREFIX_BYTES = 512
_NUM_QUEUED = 16


@dataclass(frozen=True)
class Generation:
    """The `index`-th answer of a request."""

    index: int
    prompt: pb.Prompt
    sampling: pb.SamplingParameters


@dataclass
class Usage:
    """Tokens by answer; a prompt that several answers share is counted once."""

    prompt_tokens: dict[bytes, int] = field(default_factory=dict)
    completion_tokens: int = 0
    cached_tokens: int = 0

    def add(self, generation: Generation, finish: pb.Finish) -> None:
        key = generation.prompt.SerializeToString(deterministic=True)
        self.prompt_tokens[key] = finish.num_prompt_tokens
        self.completion_tokens += finish.num_generated_tokens
        self.cached_tokens += finish.num_cached_tokens

    def as_dict(self) -> dict[str, object]:
        prompt_tokens = sum(self.prompt_tokens.values())
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }


def spread(
    prompts: Sequence[pb.Prompt], sampling: pb.SamplingParameters, n: int
) -> list[Generation]:
    """`n` answers for each prompt; a seed is moved on for each, so that they differ."""
    generations = []
    for index in range(len(prompts) * n):
        own = pb.SamplingParameters()
        own.CopyFrom(sampling)
        if sampling.HasField("seed"):
            own.seed = _wrapped(sampling.seed + index % n)
        generations.append(Generation(index, prompts[index // n], own))
    return generations


def _wrapped(seed: int) -> int:
    """In the range of int64."""
    return (seed + 2**63) % 2**64 - 2**63


async def run(
    speakers: Speakers,
    target: Target,
    caller: Caller,
    generations: Sequence[Generation],
    priority: int,
) -> AsyncGenerator[tuple[Generation, pb.GenerateResponse]]:
    """Every message of every generation. Closing it cancels all of them; one failing fails all."""
    started = time.monotonic()
    first = True
    async with aclosing(_merge(speakers, target, caller, generations, priority)) as messages:
        async for generation, message in messages:
            if first:
                FIRST_TOKEN_SECONDS.labels(target.model).observe(time.monotonic() - started)
                first = False
            if message.HasField("finish"):
                TOKENS.labels(target.model, "prompt").inc(message.finish.num_prompt_tokens)
                TOKENS.labels(target.model, "generated").inc(message.finish.num_generated_tokens)
            yield generation, message


async def _merge(
    speakers: Speakers,
    target: Target,
    caller: Caller,
    generations: Sequence[Generation],
    priority: int,
) -> AsyncGenerator[tuple[Generation, pb.GenerateResponse]]:
    if len(generations) == 1:
        (only,) = generations
        request = _request(only, target, caller, priority)
        async with aclosing(speakers.generate(target, request, prefix_of(only.prompt))) as messages:
            async for message in messages:
                yield only, message
        return
    queue: asyncio.Queue[tuple[Generation, pb.GenerateResponse | BaseException | None]]
    queue = asyncio.Queue(_NUM_QUEUED)

    async def feed(generation: Generation) -> None:
        request = _request(generation, target, caller, priority)
        prefix = prefix_of(generation.prompt)
        try:
            async with aclosing(speakers.generate(target, request, prefix)) as messages:
                async for message in messages:
                    await queue.put((generation, message))
            await queue.put((generation, None))
        except Exception as error:  # noqa: BLE001 handed to the reader, which raises it
            await queue.put((generation, error))

    tasks = [asyncio.create_task(feed(generation)) for generation in generations]
    try:
        num_open = len(tasks)
        while num_open:
            generation, outcome = await queue.get()
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome is None:
                num_open -= 1
            else:
                yield generation, outcome
    finally:
        await asyncio.gather(*(end(task) for task in tasks))


def _request(
    generation: Generation, target: Target, caller: Caller, priority: int
) -> pb.GenerateRequest:
    return pb.GenerateRequest(
        context=context_of(caller),
        prompt=generation.prompt,
        sampling=generation.sampling,
        adapter_id=target.adapter_id,
        priority=priority,
    )


def context_of(caller: Caller) -> pb.RequestContext:
    return pb.RequestContext(
        request_id=request_id_var.get(), team_id=caller.team_id, user_id=caller.user_id
    )


def prefix_of(prompt: pb.Prompt) -> bytes:
    """What requests have in common that find each other's prefix in a replica's cache."""
    kind = prompt.WhichOneof("input")
    if kind == "text":
        return prompt.text[:_PREFIX_BYTES].encode()
    if kind == "fill_in_the_middle":
        return prompt.fill_in_the_middle.prefix[:_PREFIX_BYTES].encode()
    if kind == "chat":
        return b"\n".join(m.content[:_PREFIX_BYTES].encode() for m in prompt.chat.messages[:2])
    return repr(list(prompt.tokens.ids[:_PREFIX_BYTES])).encode()
