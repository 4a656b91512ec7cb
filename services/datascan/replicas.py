"""The losses of texts, asked of a ready replica of a model."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import grpc.aio

from services.cluster.errors import EngineUnavailable
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.pb.v1 import replica_pb2_grpc as rpc
from services.cluster.records import ReplicaPhase, ReplicaRecord
from services.cluster.registry_cache import RegistryCache
from services.cluster.rpc import open_channel, translate_rpc_error
from services.cluster.settings import ClusterSettings

log = logging.getLogger(__name__)

# A long text on a slow CPU takes minutes; a replica that hangs should not take the scan along.
_SCORE_SECONDS = 900.0


@dataclass(frozen=True)
class TextLoss:
    """`bits_per_byte` of the text; None when there was no token to score, or no finite loss."""

    bits_per_byte: float | None
    num_tokens: int

    @classmethod
    def of(cls, score: pb.TextScore) -> TextLoss:
        num_tokens = score.num_scored_tokens
        if not score.HasField("mean_loss") or not math.isfinite(score.mean_loss):
            return cls(None, num_tokens)
        nats = score.mean_loss * num_tokens
        return cls(nats / math.log(2) / score.num_bytes, num_tokens)


class Replicas:
    """`score` raises EngineUnavailable when no replica of the model answers."""

    def __init__(self, cache: RegistryCache, settings: ClusterSettings) -> None:
        self._cache = cache
        self._settings = settings
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()

    def ready(self, model: str) -> list[ReplicaRecord]:
        """Those with the least to do first."""
        found = [
            replica
            for replica in self._cache.view.replicas.values()
            if replica.model == model and replica.phase is ReplicaPhase.READY and replica.address
        ]
        return sorted(found, key=lambda r: (r.num_running + r.num_waiting, r.replica_id))

    def scorer(self, model: str) -> str:
        """What the losses of its ready replicas depend on, as far as the catalogue knows it.

        Weights that were replaced in their folder by others of the same size are not noticed.
        """
        known = self._cache.view.models.get(model)
        weights = [known.revision, known.local_path, known.weights_bytes] if known else []
        engines = sorted({replica.engine for replica in self.ready(model)})
        return json.dumps([model, weights, engines])

    async def score(self, model: str, texts: Sequence[str]) -> list[TextLoss]:
        """By the base model, in the order of the texts."""
        for replica in self.ready(model):
            request = pb.ScoreRequest(texts=texts)
            try:
                answer = await self._stub(replica).Score(request, timeout=_SCORE_SECONDS)
            except grpc.aio.AioRpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                    raise translate_rpc_error(error) from None
                log.warning("replica does not score", extra={"replica_id": replica.replica_id})
                continue
            return [TextLoss.of(score) for score in answer.scores]
        raise EngineUnavailable(
            f"No replica of {model} answers; the scan goes on when one is ready.",
            retry_after_seconds=30,
        )

    def _stub(self, replica: ReplicaRecord) -> rpc.ReplicaAsyncStub:
        if replica.address not in self._channels:
            self._channels[replica.address] = open_channel(replica.address, self._settings)
        stub: rpc.ReplicaAsyncStub = rpc.ReplicaStub(self._channels[replica.address])
        return stub
