"""The automatic schedule: what is chosen where a person has chosen nothing. Pure functions.

Fewer passes than smallcloudai/refact (3 to 50 there): an adapter that has seen a file 50 times
repeats it instead of completing it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from services.finetune.parameters import PARAMETERS, Value

_NUM_EPOCHS = 3
_STEPS = {"cpu": (20, 400), "cuda": (20, 2000)}
_CONTEXT_TOKENS = {"cpu": 512, "cuda": 2048}
_BATCH_SIZE = {"cpu": 4, "cuda": 16}
_STEPS_IN_AN_EPOCH = 10  # a batch is not so large that an epoch has fewer
_SMALL_MODEL = 200_000_000
_WARMUP_SHARE = 0.05


@dataclass(frozen=True)
class Workload:
    """What a plan is made for. `target_modules`: the model's own linear modules."""

    num_train_tokens: int
    device_kind: str
    num_parameters: int
    context_tokens: int
    has_fim: bool
    target_modules: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """`reason` is "" when the caller chose."""

    value: Value
    origin: str
    reason: str = ""


USER, SCHEDULE, DEFAULT = "user", "schedule", "default"


def choose(given: Mapping[str, Value], workload: Workload) -> dict[str, Choice]:
    """A choice for every parameter, in the order of the table."""
    values: dict[str, Value] = dict(given)
    reasons: dict[str, str] = {}

    def pick(name: str, value: Value, reason: str) -> None:
        if name not in given:
            values[name] = value
            reasons[name] = reason

    kind, own = workload.device_kind, workload.context_tokens
    pick("context_tokens", min(own, _CONTEXT_TOKENS[kind]), _context_reason(kind, own))
    sequences = num_sequences(workload.num_train_tokens, _integer(values["context_tokens"]))
    batch_size = max(min(sequences // _STEPS_IN_AN_EPOCH, _BATCH_SIZE[kind]), 1)
    pick("batch_size", batch_size, f"The dataset fills {sequences} sequences.")
    batch_size = _integer(values["batch_size"])
    least, most = _STEPS[kind]
    steps = min(max(math.ceil(_NUM_EPOCHS * sequences / batch_size), least), most)
    pick(
        "train_steps",
        steps,
        f"About {_NUM_EPOCHS} passes over the dataset, at least {least} and at most {most} steps"
        f" on {kind}.",
    )
    steps = _integer(values["train_steps"])
    warmup = min(math.ceil(steps * _WARMUP_SHARE), steps - 1, 1000)
    pick("warmup_num_steps", warmup, "A twentieth of the steps.")
    pick("lr_decay_steps", steps, "The rate falls to the last step.")
    small = workload.num_parameters < _SMALL_MODEL
    pick("learning_rate", 1e-3 if small else 3e-4, _rate_reason(small))
    pick("target_modules", list(workload.target_modules), "All linear modules of the blocks.")
    pick("low_gpu_mem_mode", False, "It would be slower, and memory is estimated without it.")
    pick("fim_share", 0.5 if workload.has_fim else 0.0, _fim_reason(workload.has_fim))
    rank = _integer(values.get("lora_r", 16))
    pick("lora_alpha", float(min(2 * rank, 256)), "Twice the rank.")
    found: dict[str, Choice] = {}
    for parameter in PARAMETERS:
        name = parameter.name
        if name in given:
            found[name] = Choice(given[name], USER)
        elif name in reasons:
            found[name] = Choice(values[name], SCHEDULE, reasons[name])
        else:
            found[name] = Choice(parameter.default, DEFAULT, "The default.")
    return found


def num_sequences(num_tokens: int, context_tokens: int) -> int:
    """Of one pass over train, at least one."""
    return max(math.ceil(num_tokens / context_tokens), 1)


def measure_every_steps(train_steps: int, batch_size: int, num_test_sequences: int) -> int:
    """How often the test loss is measured and a checkpoint written.

    A tenth of the training, and rarely enough that measuring (a third of the work of learning)
    takes no more than about a fifth of the time.
    """
    affordable = math.ceil(num_test_sequences / 3 * 5 / batch_size)
    return max(min(max(train_steps // 10, affordable), train_steps), 1)


def _context_reason(kind: str, own: int) -> str:
    if own <= _CONTEXT_TOKENS[kind]:
        return "The model's own."
    return f"Longer sequences are slow to learn on {kind}."


def _rate_reason(small: bool) -> str:
    if small:
        return "A model under 200 million parameters takes larger steps."
    return "The default."


def _fim_reason(has_fim: bool) -> str:
    if has_fim:
        return "Half as a cursor asks, half as files are."
    return "The model has no fill-in-the-middle tokens."


def _integer(value: Value) -> int:
    if isinstance(value, str | list):
        raise TypeError(f"{value!r} is no number.")
    return int(value)
