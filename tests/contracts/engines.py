"""Engines as the contract tests want them, and what they ask of them."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import shutil
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import zmq
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from services.inference.engines import engine_class
from services.inference.engines.base import Engine, EngineConfig
from services.inference.engines.echo_engine import EchoEngine
from services.inference.engines.environment import engine_environment
from services.inference.engines.generation import (
    Delta,
    Finish,
    GenerationRequest,
    PositionLogprobs,
    Sampling,
)

VLLM = pytest.param("vllm", marks=[pytest.mark.e2e, pytest.mark.slow])
CONTEXT_TOKENS = 512
MAX_ADAPTERS = 2
PATIENCE_SECONDS = 30
PROMPT = "def quick_brown_fox(jumps):"
_KV_CACHE_BYTES = 64 * 1024**2
_numbers = itertools.count()


@dataclass
class Subject:
    """An engine, folders of adapters that it can load, and what makes it die."""

    engine: Engine
    adapter_folders: Sequence[Path]
    kill: Callable[[], None]

    def request(
        self, prompt: str | Sequence[int] = PROMPT, *, adapter_id: str = "", **sampling: Any
    ) -> GenerationRequest:
        """Greedy and short unless told otherwise."""
        fields = {"max_tokens": 24, "temperature": 0.0, **sampling}
        return GenerationRequest(
            request_id=f"test-{next(_numbers)}",
            prompt_token_ids=self.ids(prompt) if isinstance(prompt, str) else prompt,
            sampling=Sampling(**fields),
            adapter_id=adapter_id,
        )

    def ids(self, text: str) -> list[int]:
        return self.engine.tokenizer.encode(text)

    async def answer(self, request: GenerationRequest) -> Answer:
        return Answer([delta async for delta in self.engine.generate(request)])

    async def say(self, prompt: str | Sequence[int] = PROMPT, **options: Any) -> Answer:
        """The answer to `request(prompt, **options)`."""
        return await self.answer(self.request(prompt, **options))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                await asyncio.sleep(0.005)

    @property
    def is_idle(self) -> bool:
        stats = self.engine.stats()
        return not stats.num_running and not stats.num_waiting


@dataclass
class Answer:
    deltas: Sequence[Delta]

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas)

    @property
    def token_ids(self) -> list[int]:
        return [token_id for delta in self.deltas for token_id in delta.token_ids]

    @property
    def logprobs(self) -> list[PositionLogprobs]:
        return [position for delta in self.deltas for position in delta.logprobs]

    @property
    def finish(self) -> Finish:
        *rest, last = [delta.finish for delta in self.deltas]
        assert not any(rest)
        assert last is not None
        return last


@asynccontextmanager
async def echo(folder: Path) -> AsyncIterator[Subject]:
    engine = EchoEngine(_config(folder, echo_token_seconds=0.001))
    await engine.start(lambda phrase: None)
    yield Subject(engine, _folders(folder), engine.die)
    await engine.close()


@asynccontextmanager
async def vllm(folder: Path) -> AsyncIterator[Subject]:
    """A vLLM in a process of its own, which takes its environment from this one."""
    with environment():
        with warnings_of_vllm():
            tiny_model = import_module("tests.contracts.tiny_model")
            (model_folder := folder / "model").mkdir()
            tiny_model.write_model(model_folder)
            folders = _folders(folder)
            for seed, place in enumerate(folders, 1):
                tiny_model.write_adapter(model_folder, place, seed=seed)
            config = _config(model_folder, kv_cache_bytes=_KV_CACHE_BYTES, tool_parser="hermes")
            engine = engine_class("vllm")(config)
            await engine.start(lambda phrase: None)
        yield Subject(engine, folders, _kill_vllm)
        await close_vllm(engine)


def _kill_vllm() -> None:
    [process] = [p for p in psutil.Process().children() if p.name().startswith("VLLM")]
    process.kill()


async def close_vllm(engine: Engine) -> None:
    """With its ZeroMQ contexts, which it leaves, without sockets by then, to the collector."""
    contexts = [thing for thing in gc.get_objects() if type(thing) is zmq.Context]
    await engine.close()
    for context in contexts:
        context.term()


@contextmanager
def warnings_of_vllm() -> Iterator[None]:
    """Old names that it calls while it is imported."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        yield


def reference_loss(model_folder: Path, token_ids: Sequence[int]) -> float:
    """Of transformers, without an engine."""
    tiny_model = import_module("tests.contracts.tiny_model")
    loss: float = tiny_model.mean_loss(model_folder, token_ids)
    return loss


def changed_adapter(folder: Path, to: Path, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Path:
    """A copy of an adapter with other lora_A matrices, each of rank x inputs."""
    shutil.copytree(folder, to)
    place = to / "adapter_model.safetensors"
    weights = {
        name: np.ascontiguousarray(change(value)) if "lora_A" in name else value
        for name, value in load_file(place).items()
    }
    save_file(weights, place)
    return to


def _config(folder: Path, **changes: Any) -> EngineConfig:
    fields = {
        "model": "tiny",
        "model_folder": folder,
        "device_kind": "cpu",
        "context_tokens": CONTEXT_TOKENS,
        "max_lora_rank": 8,
        "max_loaded_adapters": MAX_ADAPTERS,
        **changes,
    }
    return EngineConfig(**fields)


def _folders(folder: Path) -> list[Path]:
    places = [folder / f"adapter-{number}" for number in range(MAX_ADAPTERS + 1)]
    for place in places:
        place.mkdir()
    return places


@contextmanager
def environment() -> Iterator[None]:
    """That of a replica; vLLM writes into it as well, and all of that is taken back."""
    before = dict(os.environ)
    os.environ.update(engine_environment("cpu", (), num_threads=1))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
