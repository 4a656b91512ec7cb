"""The loss of a file: bits per byte, whatever the tokenizer made of it."""

from __future__ import annotations

import math

import pytest

from services.cluster.pb.v1 import replica_pb2 as pb
from services.datascan.filters import Filters, Reason
from services.datascan.replicas import TextLoss
from services.datascan.stage_two import loss_reason


@pytest.mark.parametrize(
    ("nats_per_token", "num_tokens", "bits_per_byte"),
    [(math.log(2), 40, 2.0), (2 * math.log(2), 20, 2.0), (math.log(2) / 2, 20, 0.5)],
)
def test_the_same_bits_are_the_same_loss_in_many_tokens_or_few(
    nats_per_token: float, num_tokens: int, bits_per_byte: float
) -> None:
    score = pb.TextScore(mean_loss=nats_per_token, num_scored_tokens=num_tokens, num_bytes=20)
    assert TextLoss.of(score).bits_per_byte == pytest.approx(bits_per_byte)


def test_over_the_threshold_is_rejected_with_both_figures() -> None:
    filters = Filters(max_loss=2.0)
    assert loss_reason(TextLoss(2.0, 40), filters) == {}
    assert loss_reason(TextLoss(2.5, 40), filters) == {
        Reason.LOSS: "Its loss is 2.500 bits per byte; 2.000 is allowed."
    }


@pytest.mark.parametrize("mean_loss", [None, math.nan, math.inf])
def test_no_finite_loss_is_filter_empty(mean_loss: float | None) -> None:
    score = pb.TextScore(mean_loss=mean_loss, num_scored_tokens=0, num_bytes=20)
    assert set(loss_reason(TextLoss.of(score), Filters())) == {Reason.FILTER_EMPTY}
