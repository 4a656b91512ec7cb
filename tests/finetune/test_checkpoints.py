from __future__ import annotations

from pathlib import Path

import pytest

from services.cluster.artifacts.fences import Fence
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import LeaseLost
from services.finetune.checkpoints import Checkpoint, Checkpoints, best_of, superfluous
from services.finetune.trainer.messages import CheckpointWritten


def checkpoint(step: int, test_loss: float | None = None) -> Checkpoint:
    return Checkpoint(
        checkpoint_id=f"run-x-1-{step:06d}",
        run_id="run-x",
        project_id="p",
        team_id="",
        step=step,
        attempt=1,
        train_loss=1.0,
        test_loss=test_loss,
        resumable=True,
        size_bytes=1,
        created_at=float(step),
    )


def written(folder: Path, step: int) -> CheckpointWritten:
    place = folder / f"step-{step}"
    place.mkdir(parents=True)
    (place / "adapter_config.json").write_text("{}")
    (place / "training_state.safetensors").write_text("x")
    return CheckpointWritten(step=step, folder=str(place), train_loss=2.0, test_loss=1 / 3)


def test_the_best_has_the_lowest_test_loss() -> None:
    assert best_of([checkpoint(1, 3.0), checkpoint(2, 1.0), checkpoint(3, 2.0)]) == checkpoint(2, 1)


def test_at_a_tie_the_earlier_one_is_best() -> None:
    assert best_of([checkpoint(9, 1.0), checkpoint(4, 1.0)]) == checkpoint(4, 1.0)


def test_an_unmeasured_one_is_never_better_than_a_measured_one() -> None:
    assert best_of([checkpoint(1, 5.0), checkpoint(2)]) == checkpoint(1, 5.0)


def test_without_measures_the_last_is_best_and_without_checkpoints_none() -> None:
    assert best_of([checkpoint(1), checkpoint(2)]) == checkpoint(2)
    assert best_of([]) is None


def test_the_newest_the_best_and_the_needed_are_kept() -> None:
    found = [checkpoint(step, float(step)) for step in range(1, 8)]
    surplus = superfluous(found, 2, {found[3].checkpoint_id})
    assert [c.step for c in surplus] == [2, 3, 5]


def test_a_published_folder_is_a_checkpoint_and_is_read_back_exactly(tmp_path: Path) -> None:
    artifacts = ArtifactStore(tmp_path / "data")
    artifacts.fences.raise_to("run-x", 7)
    checkpoints = Checkpoints(artifacts)
    made = checkpoints.publish(
        written(tmp_path, 4),
        "run-x",
        2,
        project_id="p",
        team_id="t",
        guard=lambda: None,
        fence=Fence("run-x", 7),
    )
    assert (made.checkpoint_id, made.attempt, made.test_loss) == ("run-x-2-000004", 2, 1 / 3)
    assert made.resumable
    assert checkpoints.of_run("run-x") == [made]
    assert checkpoints.get(made.checkpoint_id) == made
    assert checkpoints.of_run("run") == []


@pytest.mark.parametrize("is_told", [True, False])
def test_whoever_lost_the_run_publishes_nothing(tmp_path: Path, is_told: bool) -> None:
    artifacts = ArtifactStore(tmp_path / "data")
    checkpoints = Checkpoints(artifacts)
    artifacts.fences.raise_to("run-x", 7)
    if not is_told:
        artifacts.fences.raise_to("run-x", 8)

    def guard() -> None:
        if is_told:
            raise LeaseLost("lost")

    fence = Fence("run-x", 7)
    with pytest.raises(LeaseLost):
        checkpoints.publish(
            written(tmp_path, 4), "run-x", 1, project_id="", team_id="", guard=guard, fence=fence
        )
    assert checkpoints.of_run("run-x") == []
