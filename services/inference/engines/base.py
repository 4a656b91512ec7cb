"""What every engine is: one model that continues prompts, with adapters, behind one interface.

Prompts arrive as token ids; the engine never sees a template. Everything runs on one event loop.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from services.cluster.errors import BadRequest, EngineUnavailable
from services.cluster.tasks import together
from services.inference.engines.adapter_table import AdapterTable
from services.inference.engines.generation import (
    Delta,
    Embeddings,
    EngineStats,
    GenerationRequest,
    Sampling,
    Score,
)
from services.inference.scoring import windows
from services.inference.tokenization import Tokenizer

BACKGROUND_PRIORITY = 100
_MOST_SCORED_AT_ONCE = 32


@dataclass(frozen=True)
class EngineConfig:
    """What a replica runs on. `device_kind` is "cpu" or "cuda"; `kv_cache_bytes` is of each device.

    `device_share` is the part of each that it may take, 0 for all.
    `context_tokens` 0 stands for the model's own, as far as the cache holds one such request.
    `max_running` bounds the batch. `tensor_parallel` devices share each layer, and as many more are
    in each further one of `pipeline_parallel` stages. `quantization` is "" or "fp8". The parsers
    are vLLM's, by its names; "" for none. `deployment` is the label of what is measured.
    `speculative_tokens` are guessed from the text so far (n-grams) and checked in one step.
    `chat_template` and `fim_family` are there where the model's own files do not decide.
    """

    model: str
    model_folder: Path
    device_kind: str
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    context_tokens: int = 0
    kv_cache_bytes: int = 0
    device_share: float = 0.0
    quantization: str = ""
    speculative_tokens: int = 0
    embeds: bool = False
    takes_adapters: bool = True
    chat_template: str = ""
    fim_family: str | None = None
    tool_parser: str = ""
    reasoning_parser: str = ""
    deployment: str = ""
    can_sleep: bool = False
    max_running: int = 32
    max_lora_rank: int = 64
    max_loras_in_batch: int = 4
    max_loaded_adapters: int = 16
    echo_token_seconds: float = 0.0


class Engine(ABC):
    """Start once, close once. `errored` says why the engine died, "" while it lives."""

    name: ClassVar[str]

    version: str
    context_tokens: int
    embedding_size: int = 0
    takes_images: bool = False
    tokenizer: Tokenizer

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.adapters = AdapterTable(config.max_loaded_adapters)
        self._score_numbers = itertools.count(1)
        # Enough to keep the engine busy; half of the batch is left for those who wait.
        num_scored_at_once = min(_MOST_SCORED_AT_ONCE, max(config.max_running // 2, 1))
        self._scoring = asyncio.Semaphore(num_scored_at_once)

    @property
    @abstractmethod
    def errored(self) -> str: ...

    @abstractmethod
    async def start(self, report: Callable[[str], None]) -> None:
        """Returns when requests are taken; `report` is told what is being done, as a phrase.

        Raises EngineUnavailable with a sentence.
        """

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta]:
        """Deltas until one has `finish`. Closing the generator or cancelling its task aborts.

        Raises AdapterNotLoaded, BadRequest for parameters that the model cannot take, and
        EngineUnavailable when the engine died.
        """
        with self.adapters.using(request.adapter_id):
            async with aclosing(self._generate(request)) as deltas:
                async for delta in deltas:
                    yield delta

    @abstractmethod
    def _generate(self, request: GenerationRequest) -> AsyncGenerator[Delta]:
        """As `generate`, for an adapter that stays loaded meanwhile."""

    @abstractmethod
    async def abort(self, request_id: str) -> None:
        """Ends a generation, whose stream then ends with ABORTED. Unknown ids are nothing."""

    @abstractmethod
    async def _load(self, adapter_id: str, folder: Path) -> None: ...

    @abstractmethod
    async def _unload(self, adapter_id: str) -> None: ...

    @abstractmethod
    async def embed(self, inputs: Sequence[str | Sequence[int]]) -> Embeddings:
        """Of texts, or of token ids with the special tokens that the model wants.

        Raises Unimplemented when the model is not an embedding model.
        """

    @property
    def can_sleep(self) -> bool:
        return self.config.can_sleep and self.config.device_kind == "cuda"

    @abstractmethod
    async def sleep(self) -> None:
        """Gives the GPU's memory back, where it `can_sleep`; what runs is aborted."""

    @abstractmethod
    async def wake_up(self) -> None:
        """Raises EngineUnavailable when the GPU has no room for it any more."""

    @abstractmethod
    def stats(self) -> EngineStats: ...

    @abstractmethod
    async def wait_errored(self) -> str:
        """Returns when the engine has died, with the reason."""

    @abstractmethod
    async def close(self) -> None:
        """Ends the engine's processes. Generations that run end with EngineUnavailable."""

    async def load_adapter(self, adapter_id: str, folder: Path) -> float:
        """Seconds it took; 0 when it was loaded. Each adapter's folder is its own and immutable.

        Raises BadRequest when the folder holds no adapter that the model can take, Overloaded
        when `max_loaded_adapters` are loaded.
        """
        if not self.config.takes_adapters:
            raise BadRequest(f"vLLM serves no adapters on {self.config.model}.", param="adapter_id")
        started = time.monotonic()
        async with self.adapters.loading(adapter_id) as wanted:
            if not wanted:
                return 0.0
            await self._load(adapter_id, folder)
        return time.monotonic() - started

    async def unload_adapter(self, adapter_id: str) -> None:
        """Waits for the generations that use it; new ones are refused. Raises AdapterNotLoaded."""
        async with self.adapters.unloading(adapter_id):
            await self._unload(adapter_id)

    async def score(self, token_ids: Sequence[int], adapter_id: str = "") -> Score:
        """Mean loss of a text. Longer than the context: windows that overlap by half.

        Raises what `generate` raises; an adapter stays loaded until the last window is done.
        """
        with self.adapters.using(adapter_id):
            found = await together(
                self._window_losses(token_ids[part.start : part.end], part.counted, adapter_id)
                for part in windows(len(token_ids), self.context_tokens - 1)
            )
        num_losses = sum(len(losses) for losses in found)
        mean_loss = sum(map(sum, found)) / num_losses if num_losses else None
        return Score(mean_loss, num_losses)

    async def _window_losses(
        self, token_ids: Sequence[int], first_counted: int, adapter_id: str
    ) -> Sequence[float]:
        """Losses of the tokens from `first_counted` of the window on."""
        async with self._scoring:
            request_id = f"score-{next(self._score_numbers)}"
            losses = await self._losses(request_id, token_ids, adapter_id)
        return losses[first_counted - 1 :]

    async def _losses(
        self, request_id: str, token_ids: Sequence[int], adapter_id: str
    ) -> Sequence[float]:
        """Of all tokens but the first, for an adapter that stays loaded. Raises as `generate`."""
        request = GenerationRequest(
            request_id=request_id,
            prompt_token_ids=token_ids,
            sampling=Sampling(max_tokens=1, temperature=0, prompt_logprobs=True),
            adapter_id=adapter_id,
            priority=BACKGROUND_PRIORITY,
        )
        async with aclosing(self._generate(request)) as deltas:
            async for delta in deltas:
                if delta.prompt_logprobs:
                    _, *rest = delta.prompt_logprobs
                    return [-(position.chosen.logprob or 0.0) for position in rest]
        raise EngineUnavailable("The engine gave no losses for a text.")
