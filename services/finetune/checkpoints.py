"""The checkpoints of runs: artifacts of the store, which alone says which there are."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.cluster.artifacts.fences import Fence
from services.cluster.artifacts.manifest import MANIFEST, ArtifactKind, Manifest
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import NotFound
from services.finetune.trainer.messages import CheckpointWritten

_STATE_FILE = "training_state.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """Written after `step`. `test_loss` None: not measured then. Losses in nats a token."""

    checkpoint_id: str
    run_id: str
    project_id: str
    team_id: str
    step: int
    attempt: int
    train_loss: float
    test_loss: float | None
    resumable: bool
    size_bytes: int
    created_at: float


def best_of(checkpoints: Sequence[Checkpoint]) -> Checkpoint | None:
    """The lowest test loss, at a tie the earlier one; the last where nothing was measured."""
    measured = [c for c in checkpoints if c.test_loss is not None]
    if measured:
        return min(measured, key=lambda c: (c.test_loss, c.step))
    return max(checkpoints, key=lambda c: c.step, default=None)


def superfluous(
    checkpoints: Sequence[Checkpoint], num_kept: int, needed: Collection[str]
) -> list[Checkpoint]:
    """Those that are neither among the newest, nor the best, nor needed by their id."""
    best = best_of(checkpoints)
    newest = sorted(checkpoints, key=lambda c: -c.step)[:num_kept]
    kept = {c.checkpoint_id for c in newest} | {best.checkpoint_id if best else ""} | set(needed)
    return [c for c in checkpoints if c.checkpoint_id not in kept]


class Checkpoints:
    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts

    def of_run(self, run_id: str) -> list[Checkpoint]:
        """Complete ones, by step."""
        places = (self._artifacts.root / ArtifactKind.CHECKPOINT).glob(f"{run_id}-*/{MANIFEST}")
        manifests = [Manifest.model_validate_json(place.read_text()) for place in places]
        found = [_of(manifest) for manifest in manifests if manifest.labels.get("run_id") == run_id]
        return sorted(found, key=lambda c: (c.step, c.attempt))

    def get(self, checkpoint_id: str) -> Checkpoint:
        """Raises NotFound."""
        manifest = self._artifacts.manifest(ArtifactKind.CHECKPOINT, checkpoint_id)
        if "run_id" not in manifest.labels:
            raise NotFound(f"There is no checkpoint {checkpoint_id}.")
        return _of(manifest)

    def folder(self, checkpoint_id: str) -> Path:
        """Raises NotFound."""
        return self._artifacts.path(ArtifactKind.CHECKPOINT, checkpoint_id)

    def publish(
        self,
        written: CheckpointWritten,
        run_id: str,
        attempt: int,
        *,
        project_id: str,
        team_id: str,
        guard: Callable[[], None],
        fence: Fence,
    ) -> Checkpoint:
        """Takes the folder that the trainer has written, on the same volume. Raises LeaseLost."""
        checkpoint_id = f"{run_id}-{attempt}-{written.step:06d}"
        labels = {
            "run_id": run_id,
            "step": str(written.step),
            "attempt": str(attempt),
            "train_loss": repr(written.train_loss),
        }
        if written.test_loss is not None:
            labels["test_loss"] = repr(written.test_loss)
        with self._artifacts.draft(ArtifactKind.CHECKPOINT, checkpoint_id) as draft:
            for place in Path(written.folder).iterdir():
                place.rename(draft.folder / place.name)
            manifest = draft.publish(
                labels, project_id=project_id, team_id=team_id, guard=guard, fence=fence
            )
        shutil.rmtree(written.folder, ignore_errors=True)
        return _of(manifest)

    def delete(self, checkpoint_id: str) -> None:
        self._artifacts.delete(ArtifactKind.CHECKPOINT, checkpoint_id)


def _of(manifest: Manifest) -> Checkpoint:
    labels = manifest.labels
    return Checkpoint(
        checkpoint_id=manifest.artifact_id,
        run_id=labels["run_id"],
        project_id=manifest.project_id,
        team_id=manifest.team_id,
        step=int(labels["step"]),
        attempt=int(labels["attempt"]),
        train_loss=float(labels["train_loss"]),
        test_loss=float(labels["test_loss"]) if "test_loss" in labels else None,
        resumable=any(file.path == _STATE_FILE for file in manifest.files),
        size_bytes=sum(file.size_bytes for file in manifest.files),
        created_at=manifest.created_at,
    )
