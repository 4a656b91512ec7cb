from __future__ import annotations

import pytest

from services.finetune.trainer.rates import COSINE, LINEAR, STEP, learning_rate
from tests.finetune.trainer.orders import order


def test_the_rate_rises_in_equal_steps_to_the_full_one() -> None:
    rates = [learning_rate(order(learning_rate=1.0, warmup_num_steps=3), s) for s in (1, 2, 3, 4)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_a_linear_rate_reaches_zero_and_stays_there() -> None:
    plan = order(
        learning_rate=1.0, warmup_num_steps=0, lr_decay_steps=4, lr_schedule=LINEAR, train_steps=9
    )
    rates = [learning_rate(plan, step) for step in range(1, 8)]
    assert rates == pytest.approx([1.0, 0.75, 0.5, 0.25, 0, 0, 0])


def test_a_cosine_is_half_in_the_middle() -> None:
    plan = order(learning_rate=1.0, warmup_num_steps=0, lr_decay_steps=4, lr_schedule=COSINE)
    assert learning_rate(plan, 3) == pytest.approx(0.5)
    assert learning_rate(plan, 5) == pytest.approx(0)


def test_a_step_rate_is_multiplied_every_so_often() -> None:
    plan = order(
        learning_rate=1.0,
        warmup_num_steps=0,
        lr_decay_steps=2,
        lr_decay_factor=0.5,
        lr_schedule=STEP,
    )
    rates = [learning_rate(plan, step) for step in (1, 2, 3, 4, 5)]
    assert rates == pytest.approx([1, 1, 0.5, 0.5, 0.25])
