"""What a run is asked to be and what it would do, as /api/v1 takes and shows it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from services.gateway.message_view import MessageView
from services.gateway.request_body import Body

LearningRateSchedule = Literal["linear", "cosine", "step"]
PublishPolicy = Literal["always", "if_better", "manual"]
ParameterOrigin = Literal["user", "schedule", "default"]
ParameterType = Literal["integer", "number", "boolean", "choice", "names"]
# In this order: a true is no 1, and an integer no fraction.
ParameterValue = bool | int | float | str | list[str]

_UINT32_MAX = 2**32 - 1
_SEED_MAX = 2**53 - 1  # what JavaScript counts exactly
Count = Annotated[int, Field(ge=0, le=_UINT32_MAX)]


class RunParameters(Body):
    """What is left out, the automatic schedule chooses; what is set is never overridden.

    GET /api/v1/run-parameters tells what each means and its range.
    """

    lora_r: Count | None = None
    lora_alpha: float | None = None
    lora_init_scale: float | None = None
    lora_dropout: float | None = None
    target_modules: list[str] = []
    train_embeddings: bool | None = None
    learning_rate: float | None = None
    lr_schedule: LearningRateSchedule | None = None
    warmup_num_steps: Count | None = None
    lr_decay_steps: Count | None = None
    lr_decay_factor: float | None = None
    train_steps: Count | None = None
    batch_size: Count | None = None
    weight_decay: float | None = None
    context_tokens: Count | None = None
    fim_share: float | None = None
    low_gpu_mem_mode: bool | None = None
    seed: int | None = Field(None, ge=0, le=_SEED_MAX)
    early_stop_share: float | None = None
    num_kept_checkpoints: Count | None = None
    time_limit_seconds: Count | None = None


class RunWindow(Body):
    """From `start_minute` of a day to `end_minute`, exclusive; at or before it: of the next day.

    Outside of it the run holds no device: it writes a checkpoint and goes on in the next window.
    `weekdays` on which it starts, 1 is Monday; empty: all. `time_zone` is an IANA name.
    """

    start_minute: int = Field(ge=0, lt=24 * 60)
    end_minute: int = Field(ge=0, lt=24 * 60)
    weekdays: list[Annotated[int, Field(ge=1, le=7)]] = Field([], max_length=7)
    time_zone: str = Field("UTC", max_length=64)


class RunSpec(Body):
    """What a person asks for. Empty: `name` is made from the time, `dataset_id` is the project's
    latest, `model` the project's. `max_evaluation_cases` 0: the default. `make_room`: deployments
    with `yields_to_runs` are stopped for it while it needs their devices. No `window`: any time.
    """

    project_id: str = Field(min_length=1)
    name: str = ""
    dataset_id: str = ""
    model: str = ""
    parameters: RunParameters = RunParameters()
    make_room: bool = False
    window: RunWindow | None = None
    publish_policy: PublishPolicy = "if_better"
    max_evaluation_cases: Count = 0


class RunParametersView(MessageView):
    """Null: not set, so the automatic schedule chooses. In a plan all are set."""

    lora_r: int | None
    lora_alpha: float | None
    lora_init_scale: float | None
    lora_dropout: float | None
    target_modules: list[str]
    train_embeddings: bool | None
    learning_rate: float | None
    lr_schedule: LearningRateSchedule | None
    warmup_num_steps: int | None
    lr_decay_steps: int | None
    lr_decay_factor: float | None
    train_steps: int | None
    batch_size: int | None
    weight_decay: float | None
    context_tokens: int | None
    fim_share: float | None
    low_gpu_mem_mode: bool | None
    seed: int | None
    early_stop_share: float | None
    num_kept_checkpoints: int | None
    time_limit_seconds: int | None


class RunWindowView(MessageView):
    start_minute: int
    end_minute: int
    weekdays: list[int]
    time_zone: str


class RunSpecView(MessageView):
    """As asked for, with name, dataset and model filled in."""

    project_id: str
    name: str
    dataset_id: str
    model: str
    parameters: RunParametersView | None
    make_room: bool
    window: RunWindowView | None
    publish_policy: PublishPolicy | None
    max_evaluation_cases: int


class RunParameterView(MessageView):
    """A parameter as a form shows it; `minimum` and `maximum` are null where there is none."""

    name: str
    explanation: str
    type: ParameterType
    default_value: ParameterValue
    automatic: bool
    minimum: float | None
    minimum_exclusive: bool
    maximum: float | None
    allowed_values: list[ParameterValue]
    unit: str


class RunParameterList(MessageView):
    parameters: list[RunParameterView]


class ParameterChoiceView(MessageView):
    """Who chose a value of a plan, and why."""

    name: str
    value: ParameterValue
    origin: ParameterOrigin
    reason: str


class RunMemoryView(MessageView):
    """Estimated, of each device."""

    total_bytes: int
    weights_bytes: int
    trainable_bytes: int
    activation_bytes: int
    overhead_bytes: int


class RunPlanView(MessageView):
    """`refusal` says why it does not fit now; it is empty when it does."""

    dataset_id: str
    model: str
    parameters: RunParametersView
    choices: list[ParameterChoiceView]
    num_train_tokens: int
    num_sequences: int
    num_epochs: float
    mean_loss: float | None
    memory: RunMemoryView
    num_devices: int
    micro_batch_size: int
    estimated_seconds: float | None
    fits: bool
    fits_now: bool
    refusal: str
    warnings: list[str]
