"""What an adapter's artifact says of where it comes from."""

from __future__ import annotations

from services.cluster.pb.v1 import finetune_pb2 as pb
from services.finetune.checkpoints import Checkpoint
from services.finetune.publishing import Candidate


def candidate_of(checkpoint: Checkpoint, payload: pb.RunJob, name: str) -> Candidate:
    return Candidate(
        checkpoint=checkpoint,
        name=name,
        model=payload.spec.model,
        labels={
            "model": payload.spec.model,
            "model_revision": payload.model_revision,
            "name": name,
            "run_id": checkpoint.run_id,
            "checkpoint_id": checkpoint.checkpoint_id,
            "dataset_id": payload.spec.dataset_id,
        },
    )
