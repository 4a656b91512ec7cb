from __future__ import annotations

from typing import Any

import pytest

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb
from services.inference.engines.chat import ToolCallDelta
from services.inference.engines.generation import (
    Delta,
    Finish,
    FinishReason,
    PositionLogprobs,
    Sampling,
    Structured,
    StructuredKind,
    TokenLogprob,
)
from services.inference.serving.messages import (
    to_response,
    to_sampling,
    wanted_max_tokens,
)

NUM_TOKENS = 300


def sampling(**fields: Any) -> Sampling:
    return to_sampling(pb.SamplingParameters(**fields), 10, (299,), NUM_TOKENS)


def test_what_is_not_set_has_its_default() -> None:
    found = sampling()
    assert found == Sampling(max_tokens=10, stop_token_ids=(299,))
    assert (found.temperature, found.top_p, found.top_k, found.seed) == (1, 1, 0, None)
    assert found.num_logprobs is None


def test_a_long_stop_string_would_hold_all_back() -> None:
    assert sampling(stop=["é" * 1000]).stop == ("é" * 1000,)
    with pytest.raises(BadRequest, match="1001 characters") as refused:
        sampling(stop=["a", "b" * 1001])
    assert refused.value.param == "stop"


def test_what_is_set_arrives() -> None:
    found = sampling(
        temperature=0,
        top_p=0.5,
        top_k=3,
        seed=0,
        stop=["a", "b"],
        stop_token_ids=[1],
        presence_penalty=-2,
        frequency_penalty=2,
        logit_bias={5: -100},
        num_logprobs=0,
        prompt_logprobs=True,
        structured=pb.StructuredOutput(regex="a+"),
        min_p=0.25,
        repetition_penalty=1.5,
        min_tokens=50,
    )
    assert found == Sampling(
        max_tokens=10,
        temperature=0,
        top_p=0.5,
        top_k=3,
        seed=0,
        stop=("a", "b"),
        stop_token_ids=(1, 299),
        presence_penalty=-2,
        frequency_penalty=2,
        logit_bias={5: -100},
        num_logprobs=0,
        prompt_logprobs=True,
        structured=Structured(StructuredKind.REGEX, "a+"),
        min_p=0.25,
        repetition_penalty=1.5,
        min_tokens=10,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("top_p", float("nan")),
        ("presence_penalty", 2.5),
        ("frequency_penalty", -2.5),
        ("frequency_penalty", float("nan")),
        ("min_p", 1.5),
        ("min_p", float("nan")),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", 2.5),
        ("logit_bias", {1: 101.0}),
        ("logit_bias", {NUM_TOKENS: 1.0}),
        ("stop_token_ids", [NUM_TOKENS]),
        ("num_logprobs", 21),
        ("stop", ["a", ""]),
        ("stop", ["a"] * 65),
    ],
)
def test_a_limit_is_named_with_its_field(name: str, value: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        sampling(**{name: value})
    assert refused.value.param == name


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 2},
        {"top_p": 1},
        {"num_logprobs": 20},
        {"stop": ["a"] * 64},
        {"logit_bias": {NUM_TOKENS - 1: 100}},
    ],
)
def test_a_limit_itself_is_allowed(fields: dict[str, Any]) -> None:
    assert sampling(**fields).max_tokens == 10


def test_more_best_tokens_than_there_are_are_all_of_them() -> None:
    assert sampling(top_k=2**32 - 1).top_k == NUM_TOKENS


def test_max_tokens_may_be_absent_but_not_zero() -> None:
    assert wanted_max_tokens(pb.SamplingParameters()) is None
    assert wanted_max_tokens(pb.SamplingParameters(max_tokens=1)) == 1
    with pytest.raises(BadRequest) as refused:
        wanted_max_tokens(pb.SamplingParameters(max_tokens=0))
    assert refused.value.param == "max_tokens"


def test_a_delta_becomes_a_response() -> None:
    first = PositionLogprobs(TokenLogprob(3, "a", None, 0))
    chosen = TokenLogprob(4, "b", -0.5, 1)
    delta = Delta(
        token_ids=[4],
        text="b",
        logprobs=[PositionLogprobs(chosen, [chosen])],
        prompt_logprobs=[first],
        reasoning="so",
        tool_calls=[ToolCallDelta(1, "c1", "f", "{")],
        finish=Finish(FinishReason.ABORTED, "", 1, 2, 1),
    )
    response = to_response(delta, 1)
    assert response.num_prompt_tokens == 1
    assert response.reasoning == "so"
    assert list(response.tool_calls) == [
        pb.ToolCallDelta(index=1, id="c1", name="f", arguments="{")
    ]
    assert not response.prompt_logprobs[0].chosen.HasField("logprob")
    assert response.logprobs[0].top[0].logprob == -0.5
    assert response.finish.reason == pb.FINISH_REASON_ABORTED
    assert response.finish.num_cached_tokens == 1
    later = to_response(Delta(text="c"), None)
    assert not later.HasField("num_prompt_tokens")
    assert not later.HasField("finish")


def test_more_tokens_at_least_than_at_most_are_refused() -> None:
    with pytest.raises(BadRequest, match="more than max_tokens") as refused:
        sampling(max_tokens=3, min_tokens=4)
    assert refused.value.param == "min_tokens"
