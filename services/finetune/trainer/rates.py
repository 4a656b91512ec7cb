"""The learning rate of each step: a pure function."""

from __future__ import annotations

import math

from services.finetune.trainer.messages import TrainingOrder

LINEAR = "linear"
COSINE = "cosine"
STEP = "step"


def learning_rate(order: TrainingOrder, step: int) -> float:
    """Of a step counted from 1. Step `warmup_num_steps` + 1 has the full rate.

    The fall is counted from the end of the warm-up to `lr_decay_steps`, after which a linear or
    cosine rate stays at 0.
    """
    done, warmup = step - 1, order.warmup_num_steps
    if done < warmup:
        return order.learning_rate * (done + 1) / (warmup + 1)
    if order.lr_schedule == STEP:
        return order.learning_rate * order.lr_decay_factor ** (done // order.lr_decay_steps)
    fallen = min((done - warmup) / max(order.lr_decay_steps - warmup, 1), 1.0)
    if order.lr_schedule == COSINE:
        return order.learning_rate * 0.5 * (1 + math.cos(math.pi * fallen))
    return order.learning_rate * (1 - fallen)
