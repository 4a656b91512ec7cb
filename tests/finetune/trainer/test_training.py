"""The loop on a tiny model: it learns, and a resumed training is the uninterrupted one."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from services.finetune.files import read_files
from services.finetune.tokens import TextTokenizer
from services.finetune.trainer.batches import Batches
from services.finetune.trainer.examples import ExampleMaker, Hole
from services.finetune.trainer.messages import (
    CheckpointWritten,
    Ended,
    StepDone,
    TrainerMessage,
    TrainingOrder,
)
from services.finetune.trainer.model import TrainedModel
from services.finetune.trainer.packing import pack
from services.finetune.trainer.training import NotFinite, Training
from tests.finetune.trainer.orders import order, order_in


@dataclass
class Trained:
    """What a training has said."""

    ended: Ended
    messages: list[TrainerMessage] = field(default_factory=list)

    @property
    def steps(self) -> list[StepDone]:
        return [message for message in self.messages if isinstance(message, StepDone)]

    @property
    def checkpoints(self) -> list[CheckpointWritten]:
        return [message for message in self.messages if isinstance(message, CheckpointWritten)]


def num_steps(messages: list[TrainerMessage]) -> int:
    return sum(isinstance(message, StepDone) for message in messages)


def train(
    order: TrainingOrder, stop_after: int = 0, heard: list[TrainerMessage] | None = None
) -> Trained:
    """`heard` has what was said, also when the training raises."""
    torch.manual_seed(order.seed)
    tokenizer = TextTokenizer(Path(order.model_folder))
    maker = ExampleMaker(tokenizer, order.context_tokens, order.fim_share)
    files = read_files(Path(order.train_file))
    batches = Batches(maker, files, order.context_tokens, tokenizer.end_id, order.seed)
    examples = maker.examples(read_files(Path(order.test_file)), random.Random(0))
    test = list(pack(examples, order.context_tokens, tokenizer.end_id))
    messages: list[TrainerMessage] = [] if heard is None else heard
    model = TrainedModel(order, order.model_folder)
    training = Training(
        order,
        model,
        batches.after,
        test,
        messages.append,
        lambda: (
            bool(stop_after)
            and len(Trained(Ended(step=0, stopped=False, reason=""), messages).steps) >= stop_after
        ),
    )
    if order.resume_folder:
        training.resume(Path(order.resume_folder))
    return Trained(training.run(), messages)


def test_the_loss_falls(tiny_model: Path, tmp_path: Path) -> None:
    trained = train(order_in(tmp_path, tiny_model, train_steps=20, lr_decay_steps=20))
    first, last = trained.steps[0], trained.steps[-1]
    assert last.train_loss < first.train_loss - 0.3
    measured = [step.test_loss for step in trained.steps if step.test_loss is not None]
    assert measured[-1] < measured[0]
    assert trained.ended.step == 20
    assert not trained.ended.stopped


def test_a_resumed_training_is_the_uninterrupted_one(tiny_model: Path, tmp_path: Path) -> None:
    whole = train(order_in(tmp_path / "whole", tiny_model))
    stopped = train(order_in(tmp_path / "stopped", tiny_model), stop_after=3)
    assert (stopped.ended.step, stopped.ended.stopped) == (3, True)
    assert [checkpoint.step for checkpoint in stopped.checkpoints] == [2, 3]
    folder = stopped.checkpoints[-1].folder
    rest = train(order_in(tmp_path / "rest", tiny_model, resume_folder=folder))
    assert [step.step for step in rest.steps] == [4, 5, 6]
    for one, other in zip(whole.steps[3:], rest.steps, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, abs=1e-6)
        assert other.test_loss == (one.test_loss and pytest.approx(one.test_loss, abs=1e-6))
        assert other.num_tokens == one.num_tokens
    adapters = [
        load_file(Path(trained.checkpoints[-1].folder) / "adapter_model.safetensors")
        for trained in (whole, rest)
    ]
    for name, weights in adapters[0].items():
        assert torch.allclose(weights, adapters[1][name], atol=1e-6), name


def test_a_checkpoint_holds_a_lora_that_names_its_base_and_no_pickle(
    tiny_model: Path, tmp_path: Path
) -> None:
    trained = train(order_in(tmp_path, tiny_model, train_steps=1, lr_decay_steps=1))
    folder = Path(trained.checkpoints[-1].folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"]) == ("LORA", 8)
    assert config["base_model_name_or_path"] == "test/tiny"
    assert {place.suffix for place in folder.iterdir()} == {".json", ".safetensors"}


def test_it_ends_when_the_test_loss_does_not_fall_any_more(
    tiny_model: Path, tmp_path: Path
) -> None:
    """A rate of almost nothing: the first measured loss stays about the best."""
    plan = order_in(
        tmp_path,
        tiny_model,
        learning_rate=0.0,
        train_steps=50,
        measure_every_steps=1,
        early_stop_share=0.1,
    )
    trained = train(plan)
    assert trained.ended.step == 6
    assert "has not fallen since step 1" in trained.ended.reason
    assert not trained.ended.stopped


@pytest.mark.parametrize(
    ("measure_every_steps", "name", "num_steps"), [(1, "test loss", 0), (3, "loss", 1)]
)
def test_a_training_that_diverges_fails_and_tells_no_such_point(
    tiny_model: Path, tmp_path: Path, measure_every_steps: int, name: str, num_steps: int
) -> None:
    """The first step ruins the weights: it is measured at once, or found by the second step."""
    wild = order_in(
        tmp_path,
        tiny_model,
        learning_rate=1e30,
        warmup_num_steps=0,
        measure_every_steps=measure_every_steps,
    )
    heard: list[TrainerMessage] = []
    with pytest.raises(NotFinite, match=f"the {name} is no number after step 1. Create the run"):
        train(wild, heard=heard)
    steps = [message for message in heard if isinstance(message, StepDone)]
    assert (len(heard), len(steps)) == (num_steps, num_steps)
    assert all(math.isfinite(step.train_loss) for step in steps)
    assert not list((tmp_path / "output").glob("*"))


def test_an_example_does_not_see_its_neighbour_in_the_sequence(tiny_model: Path) -> None:
    tokenizer = TextTokenizer(tiny_model)
    maker = ExampleMaker(tokenizer, 128, 1.0)
    one = maker.with_hole(Hole("def a(", "b", "): pass"))
    other = maker.with_hole(Hole("while ", "True", ": go()"))
    model = TrainedModel(order(lora_dropout=0.0), str(tiny_model))
    model.network.eval()
    (packed,) = pack([one, other], 128, tokenizer.end_id)
    assert np.count_nonzero(packed.positions == 0) == 3  # two examples and the padding
    alone = [next(pack([example], 128, tokenizer.end_id)) for example in (one, other)]
    with torch.no_grad():
        together = model.losses([packed])
        apart = [model.losses([sequence]) for sequence in alone]
    assert together.num_tokens == sum(loss.num_tokens for loss in apart)
    total = sum(loss.total.item() for loss in apart)
    assert together.total.item() == pytest.approx(total, rel=1e-5)
