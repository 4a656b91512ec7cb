from __future__ import annotations

import math

import pytest
from google.protobuf import json_format

from services.cluster.errors import BadRequest, Unimplemented
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.finetune import parameters
from services.finetune.parameters import PARAMETERS, parameter_message

# The ranges that proto/v1/finetune.proto promises: the bounds themselves, and the next values out.
RANGES: dict[str, tuple[list[float], list[float]]] = {
    "lora_r": ([4, 128], [3, 129]),
    "lora_alpha": ([1, 256], [0.9, 256.1, math.nan]),
    "lora_init_scale": ([1e-9, 1], [0, 1.1]),
    "lora_dropout": ([0, 0.5], [-0.1, 0.51]),
    "learning_rate": ([1e-5, 3e-3], [9e-6, 3.1e-3, math.inf]),
    "warmup_num_steps": ([0, 1000], [1001]),
    "lr_decay_steps": ([1, 100_000], [0, 100_001]),
    "lr_decay_factor": ([1e-9, 1], [0, 1.1]),
    "train_steps": ([1, 100_000], [0, 100_001]),
    "batch_size": ([1, 1024], [0, 1025]),
    "weight_decay": ([0, 1], [-0.1, 1.1]),
    "context_tokens": ([128, 10**6], [127]),
    "fim_share": ([0, 1], [-0.1, 1.1]),
    "seed": ([0, 2**53 - 1], [2**53]),
    "early_stop_share": ([0, 1], [-0.1, 1.1]),
    "num_kept_checkpoints": ([1, 1000], [0, 1001]),
    "time_limit_seconds": ([0, 10**9], []),
}


def test_the_table_has_the_fields_of_the_message_in_their_order() -> None:
    assert [p.name for p in PARAMETERS] == [f.name for f in pb.RunParameters.DESCRIPTOR.fields]


def test_every_number_has_a_range() -> None:
    numbers = {p.name for p in PARAMETERS if p.type in (parameters.INTEGER, parameters.NUMBER)}
    assert numbers == RANGES.keys()


@pytest.mark.parametrize("name", RANGES)
def test_values_in_the_range_are_taken_and_others_refused_by_name(name: str) -> None:
    taken, refused = RANGES[name]
    for value in taken:
        parameters.check({name: value})
    for value in refused:
        with pytest.raises(BadRequest, match=f"{name} is .*; it must be ") as error:
            parameters.check({name: value})
        assert error.value.param == name


@pytest.mark.parametrize("name", RANGES)
def test_defaults_are_in_their_ranges(name: str) -> None:
    parameters.check({name: parameters.BY_NAME[name].default})


def test_what_is_given_is_what_was_set() -> None:
    message = pb.RunParameters(
        lora_r=8, target_modules=["q_proj"], lr_schedule=pb.LEARNING_RATE_SCHEDULE_COSINE, seed=0
    )
    values = parameters.given(message)
    assert values == {"lora_r": 8, "target_modules": ["q_proj"], "lr_schedule": "cosine", "seed": 0}
    assert parameters.to_message(values) == message


def test_a_decay_factor_without_its_schedule_is_refused() -> None:
    with pytest.raises(BadRequest, match="lr_decay_factor goes with lr_schedule step"):
        parameters.check_decay_factor({"lr_decay_factor": 0.5})
    parameters.check_decay_factor({"lr_decay_factor": 0.5, "lr_schedule": "step"})


def test_a_warm_up_as_long_as_the_training_is_refused() -> None:
    values: dict[str, parameters.Value] = {
        "warmup_num_steps": 10,
        "train_steps": 10,
        "context_tokens": 512,
    }
    with pytest.raises(BadRequest, match="less than train_steps, which is 10") as error:
        parameters.check_together(values, 512)
    assert error.value.param == "warmup_num_steps"
    with pytest.raises(BadRequest, match="the model reads at most 256"):
        parameters.check_together({**values, "warmup_num_steps": 1}, 256)


def test_embeddings_are_refused_with_the_reason() -> None:
    with pytest.raises(Unimplemented, match="serves no adapter with embeddings"):
        parameters.check({"train_embeddings": True})


def test_a_form_sees_ranges_and_choices() -> None:
    found = {p.name: json_format.MessageToDict(parameter_message(p)) for p in PARAMETERS}
    assert found["lora_init_scale"]["minimumExclusive"] is True
    assert found["lr_schedule"]["allowedValues"] == ["linear", "cosine", "step"]
    assert "maximum" not in found["context_tokens"]
