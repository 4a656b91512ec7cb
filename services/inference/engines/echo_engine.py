"""A deterministic double of an engine, without torch: it says the prompt's bytes again.

One token is one byte. At temperature 0 it repeats the prompt from its start; otherwise the seed
says where it begins. Log-probabilities depend on the token and the adapter only. It keeps what it
saw, and serves only where HEARTH_ALLOW_ECHO is set (the agent and the replica look).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

from services.cluster.errors import BadRequest, EngineUnavailable, Unimplemented
from services.inference.engines.base import Engine, EngineConfig
from services.inference.engines.echo_text import NUM_BYTES, ByteTokenizer, TextStream, token_bytes
from services.inference.engines.generation import (
    Delta,
    Embeddings,
    EngineStats,
    Finish,
    FinishReason,
    GenerationRequest,
    PositionLogprobs,
    StructuredKind,
    TokenLogprob,
)

_NUM_KEPT = 1000
_CONTEXT_TOKENS = 4096
_ADAPTER_GAIN = 0.25  # nats that any adapter takes off every loss
_END = NUM_BYTES  # <|endoftext|>
_DEAD = "The echo engine was told to die."
_CLOSED = "The echo engine is closed."


class EchoEngine(Engine):
    name = "echo"
    version = "1"

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self.requests: deque[GenerationRequest] = deque(maxlen=_NUM_KEPT)
        self.aborted: deque[str] = deque(maxlen=_NUM_KEPT)
        self._running: dict[str, asyncio.Event] = {}
        self._died = asyncio.Event()
        self._closed = False
        self.asleep = False

    @property
    def errored(self) -> str:
        return _DEAD if self._died.is_set() else ""

    async def start(self, report: Callable[[str], None]) -> None:
        report("starting the echo engine")
        self.tokenizer = ByteTokenizer()
        self.context_tokens = self.config.context_tokens or _CONTEXT_TOKENS

    def die(self) -> None:
        self._died.set()
        self._end_all()

    async def _generate(self, request: GenerationRequest) -> AsyncGenerator[Delta]:
        self._check_alive()
        self.requests.append(request)
        ended = self._running[request.request_id] = asyncio.Event()
        finished = False
        try:
            async with aclosing(self._deltas(request, ended)) as deltas:
                async for delta in deltas:
                    finished = delta.finish is not None
                    yield delta
        except (asyncio.CancelledError, GeneratorExit):
            if not finished:
                self.aborted.append(request.request_id)
            raise
        finally:
            del self._running[request.request_id]

    async def _deltas(
        self, request: GenerationRequest, ended: asyncio.Event
    ) -> AsyncGenerator[Delta]:
        sampling = request.sampling
        text = TextStream(sampling.stop)
        prompt_logprobs = self._prompt_logprobs(request) if sampling.prompt_logprobs else ()
        token_ids = self._choice(request) or self._continuation(request)
        ending = {*sampling.stop_token_ids, *([_END] if sampling.structured else ())}
        for number in range(1, sampling.max_tokens + 1):
            await self._step(ended)
            if ended.is_set():
                finish = _finish(request, FinishReason.ABORTED, number - 1)
                yield Delta(prompt_logprobs=prompt_logprobs, finish=finish)
                return
            token_id = token_ids[(number - 1) % len(token_ids)]
            ends = token_id in ending
            last = number == sampling.max_tokens
            new = text.feed(b"" if ends else token_bytes(token_id), ends or last)
            reason = FinishReason.STOP if ends or text.stop_string else FinishReason.LENGTH
            over = ends or last or bool(text.stop_string)
            num_top = sampling.num_logprobs
            yield Delta(
                token_ids=[token_id],
                text=new,
                logprobs=() if num_top is None else [self._position(request, token_id, num_top)],
                prompt_logprobs=prompt_logprobs,
                finish=_finish(request, reason, number, text.stop_string) if over else None,
            )
            if over:
                return
            prompt_logprobs = ()

    async def _step(self, ended: asyncio.Event) -> None:
        """One token's time, cut short by an abort. Raises EngineUnavailable after the end."""
        if seconds := self.config.echo_token_seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), seconds)
        else:
            await asyncio.sleep(0)
        self._check_alive()

    def _choice(self, request: GenerationRequest) -> list[int]:
        """The first choice, and the end; a seed says another one. Nothing without choices."""
        structured = request.sampling.structured
        if structured is None:
            return []
        if structured.kind is not StructuredKind.CHOICE:
            raise Unimplemented(f"The echo engine knows no {structured.kind}; it holds to choices.")
        number = 0
        if request.sampling.temperature > 0:
            number = random.Random(request.sampling.seed).randrange(len(structured.choices))
        return [*self.tokenizer.encode_plain(structured.choices[number]), _END]

    def _continuation(self, request: GenerationRequest) -> list[int]:
        """The prompt, turned by a seeded offset; biased tokens are left out or come first."""
        sampling = request.sampling
        token_ids = [i for i in request.prompt_token_ids if i < NUM_BYTES] or [ord(" ")]
        if sampling.temperature > 0:
            offset = random.Random(sampling.seed).randrange(len(token_ids))
            token_ids = token_ids[offset:] + token_ids[:offset]
        bias = sampling.logit_bias
        if beyond := [i for i in bias if i >= self.tokenizer.num_tokens]:
            raise BadRequest(f"logit_bias names token {beyond[0]}, which is not in the vocabulary.")
        if forced := [i for i in bias if bias[i] >= 100]:
            return forced
        return [i for i in token_ids if bias.get(i, 0) > -100] or [ord(" ")]

    def _prompt_logprobs(self, request: GenerationRequest) -> list[PositionLogprobs]:
        first, *rest = request.prompt_token_ids
        unpredicted = TokenLogprob(first, self.tokenizer.decode([first]), None, 0)
        num_top = request.sampling.num_logprobs or 0
        return [
            PositionLogprobs(unpredicted),
            *(self._position(request, token_id, num_top) for token_id in rest),
        ]

    def _position(
        self, request: GenerationRequest, token_id: int, num_top: int
    ) -> PositionLogprobs:
        loss = 0.5 + (token_id % 8) / 8 - (_ADAPTER_GAIN if request.adapter_id else 0)
        chosen = TokenLogprob(token_id, self.tokenizer.decode([token_id]), -loss, 1)
        rest = math.log1p(-math.exp(-loss)) - math.log(self.tokenizer.num_tokens - 1)
        others = [i for i in range(num_top + 1) if i != token_id][: max(num_top - 1, 0)]
        top = [chosen] if num_top else []
        top += [
            TokenLogprob(other, self.tokenizer.decode([other]), rest, rank)
            for rank, other in enumerate(others, 2)
        ]
        return PositionLogprobs(chosen, top)

    async def abort(self, request_id: str) -> None:
        if request_id in self._running:
            self.aborted.append(request_id)
            self._running[request_id].set()

    async def _load(self, adapter_id: str, folder: Path) -> None:
        self._check_alive()
        if not await asyncio.to_thread(folder.is_dir):
            raise BadRequest(f"Adapter {adapter_id} has no folder.")

    async def _unload(self, adapter_id: str) -> None:
        self._check_alive()

    async def embed(self, inputs: Sequence[str | Sequence[int]]) -> Embeddings:
        raise Unimplemented("The echo engine is not an embedding model.")

    async def sleep(self) -> None:
        self._check_alive()
        self.asleep = True
        self._end_all()

    async def wake_up(self) -> None:
        self._check_alive()
        self.asleep = False

    def stats(self) -> EngineStats:
        return EngineStats(num_running=len(self._running))

    async def wait_errored(self) -> str:
        await self._died.wait()
        return _DEAD

    async def close(self) -> None:
        self._closed = True
        self._end_all()

    def _end_all(self) -> None:
        for ended in self._running.values():
            ended.set()

    def _check_alive(self) -> None:
        if self._closed or self._died.is_set():
            raise EngineUnavailable(_CLOSED if self._closed else _DEAD)


def _finish(
    request: GenerationRequest, reason: FinishReason, num_generated: int, stop_string: str = ""
) -> Finish:
    return Finish(reason, stop_string, len(request.prompt_token_ids), num_generated, 0)
