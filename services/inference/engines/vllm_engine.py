"""vLLM's AsyncLLM, the same on CPU and CUDA. Only `vllm_chat.py` beside it imports vLLM.

The environment of `environment.py` must be set before this module is imported.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any

import vllm
from vllm import PoolingParams, SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.envs import disable_envs_cache, enable_envs_cache
from vllm.exceptions import GracefulHTTPError, VLLMClientError
from vllm.inputs import tokens_input
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
from vllm.v1.metrics.loggers import StatLoggerBase

from services.cluster.errors import (
    BadRequest,
    ContextLengthExceeded,
    EngineUnavailable,
    HearthError,
    Internal,
    Overloaded,
    Unimplemented,
)
from services.cluster.tasks import together
from services.inference.engines.adapter_weights import check_weights
from services.inference.engines.base import BACKGROUND_PRIORITY, Engine, EngineConfig
from services.inference.engines.generation import (
    Delta,
    Embeddings,
    EngineStats,
    GenerationRequest,
    Sampling,
    Structured,
    StructuredKind,
)
from services.inference.engines.images import decoded
from services.inference.engines.vllm_arguments import engine_arguments
from services.inference.engines.vllm_chat import ChatParsers
from services.inference.engines.vllm_deltas import DeltaReader
from services.inference.tokenization import ModelTokenizer, well_formed

log = logging.getLogger(__name__)

_SHUTDOWN_SECONDS = 1.0  # vLLM 0.32 never ends by itself and is killed after this
_WEIGHTS_TO_HOST = 1  # vLLM's level of sleep; 2 would drop them
_LARGEST_SEED = 2**63 - 1
_DEAD = "The engine has died; the replica ends and is started again."


class _Gauges(StatLoggerBase):  # type: ignore[misc]  # vLLM is seen as Any
    """Keeps the newest gauges of vLLM's scheduler."""

    def __init__(self, vllm_config: object, engine_index: int = 0) -> None:
        self.newest = EngineStats()

    def record(
        self,
        scheduler_stats: Any,
        iteration_stats: object,
        mm_cache_stats: object = None,
        engine_idx: int = 0,
    ) -> None:
        if scheduler_stats is not None:
            waiting = scheduler_stats.num_waiting_reqs + scheduler_stats.num_skipped_waiting_reqs
            self.newest = EngineStats(
                scheduler_stats.num_running_reqs, waiting, scheduler_stats.kv_cache_usage
            )

    def log_engine_initialized(self) -> None:
        return


class VllmEngine(Engine):
    name = "vllm"

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self.version = str(vllm.__version__)
        self._llm: AsyncLLM | None = None
        self._gauges: _Gauges | None = None
        self._chat_parsers: ChatParsers | None = None
        self._lora_requests: dict[str, LoRARequest] = {}
        self._lora_ids = itertools.count(1)
        self._num_embeds = itertools.count(1)
        # The engine's process dies with the thread that starts it (worker_guard): this one stays.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")

    @property
    def errored(self) -> str:
        return _DEAD if self._llm is not None and self._llm.errored else ""

    async def start(self, report: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        report("reading the tokenizer")
        self.tokenizer = await loop.run_in_executor(
            self._thread, ModelTokenizer, self.config.model_folder, self.config.chat_template
        )
        report("starting the engine and loading the weights")
        try:
            llm = await loop.run_in_executor(self._thread, self._make)
        except (ValueError, RuntimeError, OSError, AssertionError, VLLMClientError) as error:
            raise EngineUnavailable(f"vLLM cannot run {self.config.model}: {error}") from error
        self._llm = llm
        model_config: Any = llm.model_config
        self.context_tokens = int(model_config.max_model_len)
        if self.config.embeds:
            self.embedding_size = int(model_config.get_hidden_size())
            return
        self.takes_images = bool(model_config.is_multimodal_model)
        config = self.config
        self._chat_parsers = await loop.run_in_executor(
            self._thread,
            ChatParsers,
            config.tool_parser,
            config.reasoning_parser,
            llm.get_tokenizer(),
            model_config,
        )

    def _make(self) -> AsyncLLM:
        arguments = AsyncEngineArgs(**engine_arguments(self.config))
        llm = AsyncLLM.from_engine_args(arguments, stat_loggers=[self._make_gauges])
        enable_envs_cache()  # else vLLM reads os.environ twice for each token
        return llm

    def _make_gauges(self, vllm_config: object, engine_index: int) -> _Gauges:
        self._gauges = _Gauges(vllm_config, engine_index)
        return self._gauges

    async def _generate(self, request: GenerationRequest) -> AsyncGenerator[Delta]:
        if self.config.embeds:
            raise Unimplemented(f"{self.config.model} makes embeddings; it generates nothing.")
        llm = self._running()
        prompt_token_ids = list(request.prompt_token_ids)
        structured = request.sampling.structured
        param = structured.kind.param if structured else None
        try:
            parameters = _sampling_params(request.sampling)
            chat = None
            if request.chat and self._chat_parsers:
                chat = self._chat_parsers.open(request.chat, parameters, prompt_token_ids)
            structure = (param or "tools") if parameters.structured_outputs else ""
            num_top = request.sampling.num_logprobs or 0
            reader = DeltaReader(prompt_token_ids, num_top, self._text_of, structure)
            outputs = llm.generate(
                await _prompt(prompt_token_ids, request.images),
                parameters,
                request.request_id,
                lora_request=self._lora_requests.get(request.adapter_id),
                priority=request.priority,
                **(chat.engine_arguments if chat else {}),
            )
            async with aclosing(outputs):
                async for output in outputs:
                    delta = reader.read(output)
                    yield chat.read(delta) if chat else delta
        except HearthError:
            raise
        except Exception as error:
            raise self._translated(error, param) from error

    async def _losses(
        self, request_id: str, token_ids: Sequence[int], adapter_id: str
    ) -> Sequence[float]:
        """Without the texts of tokens and the objects of positions, which cost as much again."""
        if self.config.embeds:
            raise Unimplemented(f"{self.config.model} makes embeddings; it scores nothing.")
        outputs = self._running().generate(
            tokens_input(list(token_ids)),
            _scoring_params(),
            request_id,
            lora_request=self._lora_requests.get(adapter_id),
            priority=BACKGROUND_PRIORITY,
        )
        try:
            async with aclosing(outputs):
                async for output in outputs:
                    if output.prompt_logprobs:
                        return [-value for value in output.prompt_logprobs.logprobs]
        except HearthError:
            raise
        except Exception as error:
            raise self._translated(error) from error
        raise EngineUnavailable("The engine gave no losses for a text.")

    def _text_of(self, token_id: int) -> str:
        return self.tokenizer.decode([token_id])

    def _translated(self, error: Exception, param: str | None = None) -> Exception:
        """Our error for one of vLLM's; what it does not name is a fault.

        `param` is the only field of the request that nobody has looked at before vLLM.
        """
        if isinstance(error, EngineDeadError) or self._llm is None or self._llm.errored:
            return EngineUnavailable(_DEAD, retry_after_seconds=5)
        if isinstance(error, GracefulHTTPError):
            return Overloaded(str(error), retry_after_seconds=1)
        cause = error.__cause__ if isinstance(error, EngineGenerateError) else error
        if isinstance(cause, VLLMClientError | ValueError):
            sentence = str(cause.args[0] if cause.args else cause).rstrip(".") + "."
            return BadRequest(sentence, param=param)
        log.error("the engine failed on a request", exc_info=error)
        return Internal("The engine failed on this request; the replica's log has the details.")

    async def abort(self, request_id: str) -> None:
        await self._running().abort(request_id)

    async def _load(self, adapter_id: str, folder: Path) -> None:
        llm = self._running()
        config = self.config
        await asyncio.to_thread(check_weights, folder, config.model_folder, config.max_lora_rank)
        request = LoRARequest(adapter_id, next(self._lora_ids), str(folder))
        try:
            await llm.add_lora(request)
        except Exception as error:  # vLLM raises plain Exceptions for its process
            if self.errored:
                raise EngineUnavailable(_DEAD, retry_after_seconds=5) from error
            raise BadRequest(f"The engine cannot load adapter {adapter_id}: {error}") from error
        self._lora_requests[adapter_id] = request

    async def _unload(self, adapter_id: str) -> None:
        request = self._lora_requests.pop(adapter_id)
        try:
            await self._running().remove_lora(request.lora_int_id)
        except EngineDeadError as error:
            raise EngineUnavailable(_DEAD, retry_after_seconds=5) from error

    async def embed(self, inputs: Sequence[str | Sequence[int]]) -> Embeddings:
        if not self.config.embeds:
            raise Unimplemented(f"{self.config.model} is not an embedding model.")
        found = await asyncio.to_thread(self._embedding_tokens, inputs)
        vectors = await together(self._embed_one(token_ids) for token_ids in found)
        return Embeddings(vectors, sum(map(len, found)))

    def _embedding_tokens(self, inputs: Sequence[str | Sequence[int]]) -> list[list[int]]:
        """With the special tokens that the model was trained with, around each text."""
        encode = self._running().get_tokenizer().encode
        found: list[list[int]] = [
            encode(well_formed(given)) if isinstance(given, str) else list(given)
            for given in inputs
        ]
        for number, token_ids in enumerate(found):
            if len(token_ids) > self.context_tokens:
                raise ContextLengthExceeded(
                    f"Text {number} has {len(token_ids)} tokens; this model reads at most"
                    f" {self.context_tokens}.",
                    param="input",
                )
            if not token_ids:
                raise BadRequest(f"Text {number} is empty.", param="input")
        return found

    async def _embed_one(self, token_ids: list[int]) -> list[float]:
        outputs = self._running().encode(
            tokens_input(token_ids),
            PoolingParams(task="embed"),
            f"embed-{next(self._num_embeds)}",
        )
        try:
            async with aclosing(outputs):
                async for output in outputs:
                    if output.finished:
                        vector = [float(value) for value in output.outputs.data.flatten().tolist()]
                        norm = math.sqrt(sum(value * value for value in vector)) or 1.0
                        return [value / norm for value in vector]
        except HearthError:
            raise
        except Exception as error:
            raise self._translated(error) from error
        raise EngineUnavailable("The engine gave no embedding for a text.")

    async def sleep(self) -> None:
        try:
            await self._running().sleep(_WEIGHTS_TO_HOST)
        except EngineDeadError as error:
            raise EngineUnavailable(_DEAD, retry_after_seconds=5) from error

    async def wake_up(self) -> None:
        try:
            await self._running().wake_up()
        except Exception as error:  # of vLLM's process, such as a GPU that others have filled
            raise EngineUnavailable(f"The engine cannot wake up: {error}.") from error

    def stats(self) -> EngineStats:
        return self._gauges.newest if self._llm and self._gauges else EngineStats()

    async def wait_errored(self) -> str:
        """Needs a first request: vLLM starts its handler of outputs with it."""
        if self._llm is not None and self._llm.output_handler is not None:
            await asyncio.wait([self._llm.output_handler])
        return _DEAD

    async def close(self) -> None:
        if self._llm is not None:
            llm, self._llm = self._llm, None
            disable_envs_cache()  # another engine of this process may want others
            llm.output_processor.propagate_error(EngineDeadError())
            await asyncio.get_running_loop().run_in_executor(
                self._thread, llm.shutdown, _SHUTDOWN_SECONDS
            )
        self._thread.shutdown(wait=False)

    def _running(self) -> AsyncLLM:
        if self._llm is None:
            raise EngineUnavailable("The engine is not running.", retry_after_seconds=5)
        if self._llm.errored:
            raise EngineUnavailable(_DEAD, retry_after_seconds=5)
        return self._llm


async def _prompt(token_ids: list[int], images: Sequence[bytes]) -> Any:
    """vLLM puts as many tokens as an image needs where the prompt names it."""
    if not images:
        return tokens_input(token_ids)
    pictures = await asyncio.to_thread(decoded, images)
    return {"prompt_token_ids": token_ids, "multi_modal_data": {"image": pictures}}


def _scoring_params() -> SamplingParams:
    return SamplingParams(
        max_tokens=1,
        temperature=0,
        prompt_logprobs=0,
        flat_logprobs=True,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _sampling_params(sampling: Sampling) -> SamplingParams:
    return SamplingParams(
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        # vLLM reads -1 as no seed; the sign bit is of no use to anybody.
        seed=None if sampling.seed is None else sampling.seed & _LARGEST_SEED,
        # Of two that are complete at the same character, vLLM takes the first of the list.
        stop=sorted(sampling.stop, key=len, reverse=True),
        stop_token_ids=list(sampling.stop_token_ids),
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        logit_bias=dict(sampling.logit_bias) or None,
        logprobs=sampling.num_logprobs,
        prompt_logprobs=(sampling.num_logprobs or 0) if sampling.prompt_logprobs else None,
        structured_outputs=_structured(sampling.structured) if sampling.structured else None,
        min_p=sampling.min_p,
        repetition_penalty=sampling.repetition_penalty,
        min_tokens=sampling.min_tokens,
        output_kind=RequestOutputKind.DELTA,
    )


def _structured(structured: Structured) -> StructuredOutputsParams:
    kind = structured.kind
    if kind is StructuredKind.CHOICE:
        return StructuredOutputsParams(choice=list(structured.choices))
    if kind is StructuredKind.JSON_OBJECT:
        return StructuredOutputsParams(json_object=True)
    if kind is StructuredKind.JSON_SCHEMA:
        return StructuredOutputsParams(json=structured.text)
    if kind is StructuredKind.REGEX:
        return StructuredOutputsParams(regex=structured.text)
    return StructuredOutputsParams(grammar=structured.text)
