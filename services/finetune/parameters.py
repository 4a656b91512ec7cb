"""The parameters of a training: one table, from which forms, checks and plans are made.

Ranges and most defaults are those of smallcloudai/refact v1.3.1; names are the fields of
RunParameters. A new parameter is a field of the proto and a row here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf import json_format, struct_pb2

from services.cluster.errors import BadRequest, Unimplemented
from services.cluster.pb.v1 import finetune_pb2 as pb

Value: TypeAlias = int | float | bool | str | list[str]

INTEGER, NUMBER, BOOLEAN, CHOICE, NAMES = "integer", "number", "boolean", "choice", "names"
_SCHEDULES = {
    "linear": pb.LEARNING_RATE_SCHEDULE_LINEAR,
    "cosine": pb.LEARNING_RATE_SCHEDULE_COSINE,
    "step": pb.LEARNING_RATE_SCHEDULE_STEP,
}
_SCHEDULE_NAMES = {number: name for name, number in _SCHEDULES.items()}


@dataclass(frozen=True)
class Parameter:
    """`minimum` and `maximum` None: none. `automatic`: the schedule may choose another value."""

    name: str
    explanation: str
    type: str
    default: Value
    minimum: float | None = None
    maximum: float | None = None
    minimum_exclusive: bool = False
    automatic: bool = False
    unit: str = ""
    choices: tuple[str, ...] = ()

    @property
    def range(self) -> str:
        """In words."""
        low = "above " if self.minimum_exclusive else "from "
        upper = f" to {self.maximum:g}" if self.maximum is not None else ""
        if self.minimum_exclusive:
            upper = upper.replace(" to ", " and at most ")
        return f"{low}{self.minimum:g}{upper}"


# fmt: off
PARAMETERS = (
    Parameter("lora_r", "Rank of the adapter: how much it can learn.", INTEGER, 16, 4, 128),
    Parameter("lora_alpha", "The adapter's output is multiplied by lora_alpha / lora_r.", NUMBER,
              32.0, 1, 256, automatic=True),
    Parameter("lora_init_scale", "Multiplies the random initial half of the adapter.", NUMBER,
              1.0, 0, 1, minimum_exclusive=True),
    Parameter("lora_dropout", "Share of the adapter's inputs that is dropped.", NUMBER, 0.01, 0,
              0.5),
    Parameter("target_modules", "Linear modules that get an adapter; none named: all of them.",
              NAMES, [], automatic=True),
    Parameter("train_embeddings", "Also learns token embeddings and output head.", BOOLEAN, False),
    Parameter("learning_rate", "Size of the steps after the warm-up.", NUMBER, 3e-4, 1e-5, 3e-3,
              automatic=True),
    Parameter("lr_schedule", "How the learning rate falls after the warm-up.", CHOICE, "linear",
              choices=("linear", "cosine", "step")),
    Parameter("warmup_num_steps", "Steps from 0 to the full learning rate.", INTEGER, 20, 0, 1000,
              automatic=True, unit="steps"),
    Parameter("lr_decay_steps", "When the rate has fallen to 0, or how often it is multiplied.",
              INTEGER, 250, 1, 100_000, automatic=True, unit="steps"),
    Parameter("lr_decay_factor", "Multiplies the rate every lr_decay_steps, schedule step only.",
              NUMBER, 0.5, 0, 1, minimum_exclusive=True),
    Parameter("train_steps", "Optimizer steps.", INTEGER, 250, 1, 100_000, automatic=True,
              unit="steps"),
    Parameter("batch_size", "Sequences for an optimizer step, over all devices.", INTEGER, 16, 1,
              1024, automatic=True),
    Parameter("weight_decay", "Decoupled decay of AdamW.", NUMBER, 0.1, 0, 1),
    Parameter("context_tokens", "Length of a packed sequence.", INTEGER, 2048, 128, None,
              automatic=True, unit="tokens"),
    Parameter("fim_share", "Share of examples that are fill-in-the-middle.", NUMBER, 0.5, 0, 1,
              automatic=True),
    Parameter("low_gpu_mem_mode", "Less memory by computing activations twice; slower.", BOOLEAN,
              False, automatic=True),
    Parameter("seed", "Of data order, cuts, initial weights and dropout.", INTEGER, 0, 0,
              2**53 - 1),
    Parameter("early_stop_share", "Ends when the test loss has not fallen for this share of"
              " train_steps; 0: never.", NUMBER, 0.2, 0, 1),
    Parameter("num_kept_checkpoints", "The newest ones that are kept beside the best.", INTEGER,
              10, 1, 1000),
    Parameter("time_limit_seconds", "Of training; 0: none.", INTEGER, 0, 0, None, unit="seconds"),
)
# fmt: on

BY_NAME: Mapping[str, Parameter] = {parameter.name: parameter for parameter in PARAMETERS}


def given(parameters: pb.RunParameters) -> dict[str, Value]:
    """What the caller has set, by name. Raises BadRequest for a schedule that there is not."""
    found: dict[str, Value] = {}
    for parameter in PARAMETERS:
        name = parameter.name
        if name == "target_modules":
            if parameters.target_modules:
                found[name] = list(parameters.target_modules)
        elif name == "lr_schedule":
            number = parameters.lr_schedule
            if number and number not in _SCHEDULE_NAMES:
                raise BadRequest(f"There is no lr_schedule {number}.", param=name)
            if number:
                found[name] = _SCHEDULE_NAMES[number]
        elif parameters.HasField(name):  # type: ignore[arg-type]
            found[name] = getattr(parameters, name)
    return found


def to_message(values: Mapping[str, Value]) -> pb.RunParameters:
    message = pb.RunParameters()
    for name, value in values.items():
        if isinstance(value, list):
            message.target_modules.extend(value)
        elif name == "lr_schedule":
            message.lr_schedule = _SCHEDULES[str(value)]
        else:
            setattr(message, name, value)
    return message


def check(values: Mapping[str, Value]) -> None:
    """Each set value against its own range. Raises BadRequest that names the field."""
    for name, value in values.items():
        parameter = BY_NAME[name]
        if parameter.type in (INTEGER, NUMBER) and not isinstance(value, str | list):
            _check_number(parameter, float(value))
    if values.get("train_embeddings"):
        raise Unimplemented(
            "train_embeddings is not possible here: the engine serves no adapter with embeddings.",
            param="train_embeddings",
        )


def check_together(values: Mapping[str, Value], context_tokens: int) -> None:
    """All values of a plan against each other. Raises BadRequest that names the field.

    `context_tokens`: the model's own.
    """
    if int(_number(values, "context_tokens")) > context_tokens:
        raise BadRequest(
            f"context_tokens is {_number(values, 'context_tokens'):g}; the model reads at most"
            f" {context_tokens}.",
            param="context_tokens",
        )
    if _number(values, "warmup_num_steps") >= _number(values, "train_steps"):
        raise BadRequest(
            f"warmup_num_steps is {_number(values, 'warmup_num_steps'):g}; it must be less than"
            f" train_steps, which is {_number(values, 'train_steps'):g}.",
            param="warmup_num_steps",
        )


def check_decay_factor(values: Mapping[str, Value]) -> None:
    """Of set values: the factor belongs to one schedule. Raises BadRequest."""
    if "lr_decay_factor" in values and values.get("lr_schedule", "linear") != "step":
        raise BadRequest(
            "lr_decay_factor goes with lr_schedule step only; leave it out or set that schedule.",
            param="lr_decay_factor",
        )


def _check_number(parameter: Parameter, value: float) -> None:
    low, high = parameter.minimum, parameter.maximum
    wrong = not math.isfinite(value)
    wrong |= low is not None and (value < low or (parameter.minimum_exclusive and value == low))
    wrong |= high is not None and value > high
    if wrong:
        raise BadRequest(
            f"{parameter.name} is {value:g}; it must be {parameter.range}.", param=parameter.name
        )


def _number(values: Mapping[str, Value], name: str) -> float:
    value = values[name]
    if isinstance(value, str | list):
        raise BadRequest(f"{name} must be a number.", param=name)
    return float(value)


def parameter_message(parameter: Parameter) -> pb.RunParameter:
    return pb.RunParameter(
        name=parameter.name,
        explanation=parameter.explanation,
        type=parameter.type,
        default_value=json_value(parameter.default),
        automatic=parameter.automatic,
        minimum=parameter.minimum,
        minimum_exclusive=parameter.minimum_exclusive,
        maximum=parameter.maximum,
        allowed_values=[json_value(choice) for choice in parameter.choices],
        unit=parameter.unit,
    )


def json_value(value: Value) -> struct_pb2.Value:
    return json_format.Parse(json.dumps(value), struct_pb2.Value())
