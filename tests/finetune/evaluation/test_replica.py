"""What an evaluation makes of a replica's answers, behind real RPC."""

from __future__ import annotations

import math

import pytest

from services.cluster.errors import Conflict
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.pb.v1 import replica_pb2_grpc as rpc
from services.cluster.rpc import RpcServer
from services.cluster.settings import ClusterSettings
from services.finetune.evaluation.replica import EvaluationReplica


class Scorer(rpc.ReplicaServicer):
    """Finds a loss of 0.5 with the base; an adapter has ruined it, and an empty text has none."""

    async def Score(self, request: pb.ScoreRequest, context: object) -> pb.ScoreResponse:
        loss = math.nan if request.adapter_id else 0.5
        return pb.ScoreResponse(
            scores=[
                pb.TextScore(mean_loss=loss, num_scored_tokens=8) if text else pb.TextScore()
                for text in request.texts
            ]
        )


async def test_a_loss_that_is_no_number_is_a_failure_with_a_sentence(
    settings: ClusterSettings,
) -> None:
    server = RpcServer(settings)
    scorer = Scorer()  # type: ignore[abstract]
    server.add("hearth.v1.Replica", rpc.add_ReplicaServicer_to_server, scorer)
    address = await server.start()
    try:
        async with EvaluationReplica(address, settings, pb.RequestContext()) as replica:
            assert await replica.losses(["x = 1", ""], "") == [(4.0, 8), (0.0, 0)]
            with pytest.raises(Conflict, match="is no number with adapter-1; its training"):
                await replica.losses(["x = 1"], "adapter-1")
    finally:
        await server.stop(0)
