from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.finetune import parameters, schedule
from services.finetune.parameters import PARAMETERS, Value
from services.finetune.schedule import Workload, choose, measure_every_steps

WORKLOAD = Workload(
    num_train_tokens=100_000,
    device_kind="cpu",
    num_parameters=5_000_000,
    context_tokens=2048,
    has_fim=True,
    target_modules=("down_proj", "q_proj"),
)


def values_of(given: dict[str, Value], workload: Workload = WORKLOAD) -> dict[str, Value]:
    return {name: choice.value for name, choice in choose(given, workload).items()}


def test_about_three_passes_are_made() -> None:
    values = values_of({})
    assert (values["context_tokens"], values["batch_size"]) == (512, 4)
    assert values["train_steps"] == 147  # 3 * 196 sequences / 4
    assert (values["warmup_num_steps"], values["lr_decay_steps"]) == (8, 147)


@pytest.mark.parametrize(("num_tokens", "steps"), [(1_000, 20), (50_000_000, 400)])
def test_steps_are_bounded_on_a_cpu(num_tokens: int, steps: int) -> None:
    values = values_of({}, replace(WORKLOAD, num_train_tokens=num_tokens))
    assert values["train_steps"] == steps


def test_a_small_dataset_gets_small_batches() -> None:
    assert values_of({}, replace(WORKLOAD, num_train_tokens=10_000))["batch_size"] == 2


def test_a_large_model_takes_smaller_steps() -> None:
    large = replace(WORKLOAD, num_parameters=7_000_000_000, device_kind="cuda")
    values = values_of({}, large)
    assert (values["learning_rate"], values["context_tokens"]) == (3e-4, 2048)


def test_what_is_set_is_kept_and_the_rest_follows_it() -> None:
    choices = choose({"train_steps": 30, "lora_r": 8}, WORKLOAD)
    assert choices["train_steps"] == schedule.Choice(30, schedule.USER)
    assert (choices["lr_decay_steps"].value, choices["warmup_num_steps"].value) == (30, 2)
    assert choices["lora_alpha"].value == 16


def test_a_model_without_marks_learns_plain_text() -> None:
    choice = choose({}, replace(WORKLOAD, has_fim=False))["fim_share"]
    assert (choice.value, choice.origin) == (0.0, schedule.SCHEDULE)


@given(
    st.integers(1, 10**10), st.sampled_from(["cpu", "cuda"]), st.integers(128, 10**6), st.booleans()
)
def test_every_choice_is_allowed_and_has_a_reason(
    num_tokens: int, kind: str, context_tokens: int, has_fim: bool
) -> None:
    workload = replace(
        WORKLOAD,
        num_train_tokens=num_tokens,
        device_kind=kind,
        context_tokens=context_tokens,
        has_fim=has_fim,
    )
    choices = choose({}, workload)
    assert list(choices) == [parameter.name for parameter in PARAMETERS]
    values = {name: choice.value for name, choice in choices.items()}
    parameters.check(values)
    parameters.check_together(values, context_tokens)
    assert all(choice.reason for choice in choices.values())


@pytest.mark.parametrize(
    ("train_steps", "batch_size", "num_test", "every"),
    [(100, 4, 1, 10), (100, 4, 100, 42), (8, 4, 1000, 8), (1, 1, 0, 1)],
)
def test_measuring_costs_little(
    train_steps: int, batch_size: int, num_test: int, every: int
) -> None:
    assert measure_every_steps(train_steps, batch_size, num_test) == every
