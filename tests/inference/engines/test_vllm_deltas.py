from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from services.cluster.errors import BadRequest, EngineUnavailable
from services.inference.engines.generation import FinishReason, TokenLogprob
from services.inference.engines.vllm_deltas import DeltaReader, positions


@dataclass
class Logprob:
    """As vLLM's."""

    logprob: float
    rank: int | None
    decoded_token: str | None = "x"


@dataclass
class Completion:
    token_ids: tuple[int, ...] = ()
    text: str = ""
    logprobs: list[dict[int, Logprob]] | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None


@dataclass
class Times:
    queued_ts: float
    scheduled_ts: float


@dataclass
class Output:
    outputs: list[Completion]
    finished: bool = False
    prompt_logprobs: list[dict[int, Logprob] | None] | None = None
    num_cached_tokens: int | None = None
    metrics: Times | None = None
    kv_transfer_params: dict[str, Any] = field(default_factory=dict)


def test_tokens_are_counted_over_all_outputs() -> None:
    reader = DeltaReader([1, 2, 3], 0, str)
    first = reader.read(Output([Completion((7, 8), "ab")], num_cached_tokens=2))
    assert (first.token_ids, first.text, first.finish) == ([7, 8], "ab", None)
    last = reader.read(
        Output(
            [Completion((9,), "c", finish_reason="stop", stop_reason="\n")],
            finished=True,
            metrics=Times(queued_ts=5.0, scheduled_ts=5.25),
        )
    )
    assert last.finish is not None
    assert last.finish.reason is FinishReason.STOP
    assert last.finish.stop_string == "\n"
    assert last.finish.num_prompt_tokens == 3
    assert last.finish.num_generated_tokens == 3
    assert last.finish.num_cached_tokens == 2
    assert last.finish.queue_seconds == 0.25


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("length", FinishReason.LENGTH),
        ("abort", FinishReason.ABORTED),
        ("stop", FinishReason.STOP),
    ],
)
def test_reasons_have_our_names(reason: str, ours: FinishReason) -> None:
    output = Output([Completion(finish_reason=reason, stop_reason=151643)], finished=True)
    finish = DeltaReader([1], 0, str).read(output).finish
    assert finish is not None
    assert (finish.reason, finish.stop_string) == (ours, "")  # a stop token is no string


@pytest.mark.parametrize("reason", ["error", None])
def test_a_generation_that_the_engine_gave_up_is_an_error(reason: str | None) -> None:
    output = Output([Completion(finish_reason=reason)], finished=True)
    with pytest.raises(EngineUnavailable):
        DeltaReader([1], 0, str).read(output)


def test_a_form_that_lets_no_token_follow_is_the_clients_fault() -> None:
    """The replica is well: who asks it is not sent away for it."""
    output = Output([Completion(finish_reason="error")], finished=True)
    with pytest.raises(BadRequest) as raised:
        DeltaReader([1], 0, str, "response_format").read(output)
    assert raised.value.param == "response_format"


def test_the_token_that_stands_there_is_told_beside_the_best() -> None:
    entries = {5: Logprob(-3.0, 9), 1: Logprob(-0.1, 1), 2: Logprob(-2.0, 2)}
    [position] = positions([5], [entries], num_top=2, text_of=str)
    assert position.chosen == TokenLogprob(5, "x", -3.0, 9)
    assert [token.token_id for token in position.top] == [1, 2]
    [without] = positions([5], [entries], num_top=0, text_of=str)
    assert without.top == []


def test_nothing_predicts_the_first_token() -> None:
    first, second = positions(
        [5, 6], [None, {6: Logprob(-1.0, None, None)}], num_top=1, text_of=str
    )
    assert first.chosen == TokenLogprob(5, "5", None, 0)
    assert second.chosen == TokenLogprob(6, "", -1.0, 0)
    assert second.top == []
