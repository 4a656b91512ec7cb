"""Generations of one replica: from a request's message to its answers' messages."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

from services.cluster.errors import BadRequest, EngineUnavailable, Overloaded
from services.cluster.log import request_id_var
from services.cluster.pb.v1 import replica_pb2 as pb
from services.inference.engines.base import Engine
from services.inference.engines.chat import ChatOptions
from services.inference.engines.generation import GenerationRequest
from services.inference.prompts import BuiltPrompt, Prompts
from services.inference.repository_prompt import RepositoryFiles
from services.inference.serving.chats import chat_messages, images, to_options
from services.inference.serving.messages import (
    to_response,
    to_sampling,
    wanted_max_tokens,
)
from services.inference.serving.metrics import GenerationMeter

T = TypeVar("T")

log = logging.getLogger(__name__)

_LONG_TEXT_BYTES = 50_000  # from which on tokenizing leaves the event loop


class Generations:
    """`max_open` bounds those that run or wait; more are refused at once.

    Scores and embeddings are requests `beside` them, which count and are waited for as they are.
    """

    def __init__(self, engine: Engine, max_open: int) -> None:
        self.prompts = Prompts(engine.tokenizer, engine.context_tokens, engine.config.fim_family)
        self._engine = engine
        self._max_open = max_open
        self._open: dict[str, asyncio.Timeout | None] = {}  # None: a generation
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._draining = False
        # One at a time: a text takes a hundred times its size while it is tokenized. A thread
        # rather than a lock, since it goes on when the one who waits for it is cancelled.
        self._tokenizing = ThreadPoolExecutor(1, "tokenizing")
        self._tokenizing_behind = ThreadPoolExecutor(1, "tokenizing-behind")

    @property
    def num_open(self) -> int:
        return len(self._open)

    async def run(self, request: pb.GenerateRequest) -> AsyncGenerator[pb.GenerateResponse]:
        """Closing the generator or cancelling its task aborts the generation in the engine."""
        meter = GenerationMeter(self._engine.config.deployment)
        finished = False
        with self._opened() as request_id:
            try:
                engine_request = await self._translate(request_id, request)
                num_prompt_tokens: int | None = len(engine_request.prompt_token_ids)
                async with aclosing(self._engine.generate(engine_request)) as deltas:
                    async for delta in deltas:
                        finished = delta.finish is not None
                        meter.show(delta)
                        yield to_response(delta, num_prompt_tokens)
                        num_prompt_tokens = None
            except (asyncio.CancelledError, GeneratorExit):
                if not finished:
                    _log_abort(request.context.request_id or request_id_var.get())
                raise

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """A request that generates nothing. Raises EngineUnavailable when `drain` ends it."""
        limit = asyncio.timeout(None)
        with self._opened(limit):
            try:
                async with limit:
                    yield
            except TimeoutError:
                if limit.expired():
                    raise _is_stopped() from None
                raise

    @contextmanager
    def _opened(self, limit: asyncio.Timeout | None = None) -> Iterator[str]:
        """Its id. Raises EngineUnavailable or Overloaded when it may not begin."""
        self._admit()
        request_id = uuid.uuid4().hex
        self._open[request_id] = limit
        self._none_open.clear()
        try:
            yield request_id
        finally:
            del self._open[request_id]
            if not self._open:
                self._none_open.set()

    async def build(self, prompt: pb.Prompt, max_tokens: int | None) -> BuiltPrompt:
        return await self.aside(prompt.ByteSize(), partial(self._build, prompt, max_tokens))

    async def aside(self, num_bytes: int, tokenize: Callable[[], T]) -> T:
        """Long texts are tokenized in a thread, so that other streams go on; one at a time."""
        if num_bytes < _LONG_TEXT_BYTES:
            return tokenize()
        return await asyncio.get_running_loop().run_in_executor(self._tokenizing, tokenize)

    async def behind(self, tokenize: Callable[[], T]) -> T:
        """For texts that nobody waits for: prompts do not queue behind them."""
        return await asyncio.get_running_loop().run_in_executor(self._tokenizing_behind, tokenize)

    def resume(self) -> None:
        """Takes new ones again after `drain`."""
        self._draining = False

    async def drain(self, grace_seconds: float) -> int:
        """Refuses new ones, waits for those that are open, aborts the rest; returns how many."""
        self._draining = True
        try:
            await asyncio.wait_for(self._none_open.wait(), grace_seconds)
        except TimeoutError:
            rest = list(self._open.items())
            for request_id, limit in rest:
                if limit is None:
                    await self._engine.abort(request_id)
                else:
                    limit.reschedule(asyncio.get_running_loop().time())
            return len(rest)
        return 0

    def _admit(self) -> None:
        if self._draining:
            raise _is_stopped()
        if len(self._open) >= self._max_open:
            raise Overloaded(
                f"This replica has {len(self._open)} requests open, which is its limit; ask again.",
                retry_after_seconds=1,
            )

    async def _translate(self, request_id: str, request: pb.GenerateRequest) -> GenerationRequest:
        wanted = wanted_max_tokens(request.sampling)
        built = await self.build(request.prompt, wanted)
        if not built.token_ids:
            raise BadRequest("The prompt is empty; send at least one token.", param="prompt")
        max_tokens = self.prompts.max_tokens(len(built.token_ids), wanted)
        return GenerationRequest(
            request_id=request_id,
            prompt_token_ids=built.token_ids,
            sampling=to_sampling(
                request.sampling,
                max_tokens,
                built.stop_token_ids,
                self._engine.tokenizer.num_tokens,
            ),
            adapter_id=request.adapter_id,
            priority=request.priority,
            chat=built.chat,
            images=built.images,
        )

    def _chat(self, message: pb.Chat) -> ChatOptions:
        return to_options(message, has_tool_parser=bool(self._engine.config.tool_parser))

    def _build(self, prompt: pb.Prompt, max_tokens: int | None) -> BuiltPrompt:
        kind = prompt.WhichOneof("input")
        if kind == "text":
            return self.prompts.from_text(prompt.text)
        if kind == "tokens":
            return self.prompts.from_tokens(prompt.tokens.ids)
        if kind == "fill_in_the_middle":
            parts = prompt.fill_in_the_middle
            shown = RepositoryFiles(
                [(file.path, file.text) for file in parts.files], parts.repository, parts.path
            )
            return self.prompts.from_cursor(parts.prefix, parts.suffix, max_tokens, shown)
        if kind == "chat":
            chat = self._chat(prompt.chat)
            files = images(prompt.chat.messages, takes_images=self._engine.takes_images)
            messages = chat_messages(prompt.chat.messages)
            built = self.prompts.from_chat(messages, chat.tools, chat.template_options)
            return replace(built, chat=chat, images=files)
        raise BadRequest("The prompt is missing.", param="prompt")


def _is_stopped() -> EngineUnavailable:
    return EngineUnavailable("This replica is being stopped; ask again.", retry_after_seconds=1)


def _log_abort(request_id: str) -> None:
    """Called when the engine has been told. `tests/bench/abort.py` reads the time."""
    log.debug("generation aborted", extra={"request_id": request_id, "aborted_at": time.time()})
