"""vLLM's AsyncLLM without Hearth, in a process of its own: token ids in, token ids out.

`python -m tests.bench.direct_engine SOCKET MAX_TOKENS`, then the arguments of a replica. It takes
the same settings from the same records, so that both engines are started alike.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import uvloop
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.inputs import tokens_input
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.metrics.loggers import StatLoggerBase

from services.cluster.guard import die_with_parent
from services.cluster.registry import Registry
from services.cluster.settings import load
from services.cluster.store.connection import Store
from services.inference.engines.base import EngineConfig
from services.inference.engines.vllm_arguments import engine_arguments
from services.inference.serving.arguments import engine_config, parse
from services.inference.settings import InferenceSettings
from tests.bench.token_frames import READY, Frame, FrameReader


class _Gauges(StatLoggerBase):  # type: ignore[misc]  # vLLM is seen as Any
    """Keeps the newest statistics, as a replica does, instead of vLLM's own Prometheus metrics."""

    def __init__(self, vllm_config: object, engine_index: int = 0) -> None:
        self.newest: object = None

    def record(self, scheduler_stats: object, *_: object, **__: object) -> None:
        self.newest = scheduler_stats

    def log_engine_initialized(self) -> None:
        return


class _Connection(asyncio.Protocol):
    """Each frame that arrives is a prompt."""

    def __init__(self, llm: AsyncLLM, max_tokens: int) -> None:
        self._llm = llm
        self._max_tokens = max_tokens
        self._frames = FrameReader()
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport

    def data_received(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            task = asyncio.create_task(self._answer(frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, prompt: Frame) -> None:
        sampling = SamplingParams(
            max_tokens=self._max_tokens, temperature=0, output_kind=RequestOutputKind.DELTA
        )
        outputs = self._llm.generate(
            tokens_input(list(prompt.token_ids)), sampling, str(prompt.number)
        )
        async for output in outputs:
            token_ids = output.outputs[0].token_ids
            self._transport.write(Frame(prompt.number, token_ids, output.finished).encode())


async def config_of(arguments: list[str]) -> EngineConfig:
    settings = load(InferenceSettings)
    store = await Store.connect(settings.redis_url)
    _, config = engine_config(parse(arguments), settings, await Registry(store).view())
    await store.close()
    return config


async def serve(socket: Path, max_tokens: int, arguments: list[str]) -> None:
    engine_args = AsyncEngineArgs(**engine_arguments(await config_of(arguments)))
    llm = AsyncLLM.from_engine_args(engine_args, stat_loggers=[_Gauges])
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: _Connection(llm, max_tokens), socket)
    print(READY, flush=True)  # noqa: T201
    await server.serve_forever()


if __name__ == "__main__":
    die_with_parent(os.getppid())
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
