"""The replica that an evaluation asks: the path that serves, not a second way to run a model."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Sequence
from types import TracebackType
from typing import TypeVar

import grpc.aio

from services.cluster.errors import Conflict, EngineUnavailable
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.pb.v1 import replica_pb2_grpc as rpc
from services.cluster.rpc import open_channel, translate_rpc_error
from services.cluster.settings import ClusterSettings
from services.finetune.evaluation.cases import Case

_PRIORITY = 100  # behind everything that a person waits for
_ANSWER_SECONDS = 300.0
_LOAD_SECONDS = 120.0

T = TypeVar("T")


class EvaluationReplica:
    """Every method raises what the replica raised, or EngineUnavailable."""

    def __init__(self, address: str, settings: ClusterSettings, context: pb.RequestContext) -> None:
        self._channel = open_channel(address, settings)
        self._context = context
        self._stub: rpc.ReplicaAsyncStub = rpc.ReplicaStub(self._channel)

    async def __aenter__(self) -> EvaluationReplica:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._channel.close()

    async def load(self, adapter_id: str) -> None:
        request = pb.LoadAdapterRequest(adapter_id=adapter_id)
        await _answered(self._stub.LoadAdapter(request, timeout=_LOAD_SECONDS))

    async def unload(self, adapter_id: str) -> None:
        request = pb.UnloadAdapterRequest(adapter_id=adapter_id)
        await _answered(self._stub.UnloadAdapter(request, timeout=_LOAD_SECONDS))

    async def complete(self, case: Case, adapter_id: str) -> tuple[str, float]:
        """The greedy answer, as long as the case's middle, and the seconds it took."""
        started = time.monotonic()
        request = pb.GenerateRequest(
            context=self._context,
            prompt=pb.Prompt(
                fill_in_the_middle=pb.FillInTheMiddle(prefix=case.prefix, suffix=case.suffix)
            ),
            sampling=pb.SamplingParameters(
                max_tokens=case.max_tokens,
                temperature=0,
                stop=["\n"] if case.num_lines == 1 else [],
            ),
            adapter_id=adapter_id,
            priority=_PRIORITY,
        )
        parts: list[str] = []
        finished = False
        try:
            async for response in self._stub.Generate(request, timeout=_ANSWER_SECONDS):
                parts.append(response.text)
                finished = finished or response.HasField("finish")
        except grpc.aio.AioRpcError as error:
            raise translate_rpc_error(error) from None
        if not finished:
            raise EngineUnavailable("The replica ended in the middle of an answer.")
        return case.trimmed("".join(parts)), time.monotonic() - started

    async def losses(self, texts: Sequence[str], adapter_id: str) -> list[tuple[float, int]]:
        """Of each text the sum of its tokens' losses in nats, and their number.

        Raises Conflict when one is no number: nothing can be compared with it.
        """
        request = pb.ScoreRequest(context=self._context, texts=texts, adapter_id=adapter_id)
        answer = await _answered(self._stub.Score(request, timeout=_ANSWER_SECONDS))
        if not all(math.isfinite(score.mean_loss) for score in answer.scores):
            raise Conflict(
                f"The loss of a held-out file is no number with {adapter_id or 'the base'}; its"
                " training has diverged, or the engine cannot run it."
            )
        return [
            (score.mean_loss * score.num_scored_tokens, score.num_scored_tokens)
            for score in answer.scores
        ]


async def _answered(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise translate_rpc_error(error) from None
