"""The anthropic SDK, unmodified, and a real model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic.types import MessageParam

from tests.e2e.running import Cluster

pytestmark = pytest.mark.e2e

MODEL = "hearth/starter-coder"
QUESTION: MessageParam = {
    "role": "user",
    "content": [{"type": "text", "text": "Write a Python function that adds two numbers."}],
}


@pytest.fixture
def sdk(cluster: Cluster) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=cluster.url, api_key=cluster.token, max_retries=0) as sdk:
        yield sdk


def test_a_message_whole_streamed_and_counted(sdk: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": MODEL, "system": "Be brief.", "messages": [QUESTION]}
    greedy = {"temperature": 0}  # the SDK has no argument for it any more
    whole = sdk.messages.create(**asked, max_tokens=24, extra_body=greedy)
    (block,) = whole.content
    assert block.type == "text"
    assert block.text.strip()
    assert 0 < whole.usage.output_tokens <= 24
    with sdk.messages.stream(**asked, max_tokens=24, extra_body=greedy) as stream:
        pieces = list(stream.text_stream)
        streamed = stream.get_final_message()
    assert len(pieces) > 3
    assert "".join(pieces) == block.text
    assert (streamed.model, streamed.stop_reason) == (whole.model, whole.stop_reason)
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    counted = sdk.messages.count_tokens(**asked).input_tokens
    for usage in (whole.usage, streamed.usage):
        assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == counted


def test_a_stop_sequence(sdk: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {
        "model": MODEL,
        "messages": [QUESTION],
        "extra_body": {"temperature": 0},
    }
    (block,) = sdk.messages.create(**asked, max_tokens=24).content
    assert block.type == "text"
    stop = block.text.strip()[3:6]
    stopped = sdk.messages.create(**asked, max_tokens=24, stop_sequences=[stop])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", stop)


@pytest.mark.parametrize(
    ("error", "token", "body"),
    [
        (anthropic.NotFoundError, "", {"model": "claude-none"}),
        (anthropic.BadRequestError, "", {"max_tokens": 0}),
        (anthropic.BadRequestError, "", {"system": "word " * 20_000}),
        (anthropic.AuthenticationError, "hearth_wrong", {}),
    ],
)
def test_errors_are_of_the_sdks_classes(
    cluster: Cluster, error: type[anthropic.APIStatusError], token: str, body: dict[str, Any]
) -> None:
    asked = {"model": MODEL, "messages": [QUESTION], "max_tokens": 4, **body}
    with (
        anthropic.Anthropic(
            base_url=cluster.url, api_key=token or cluster.token, max_retries=0
        ) as sdk,
        pytest.raises(error) as raised,
    ):
        sdk.messages.create(**asked)
    told: Any = raised.value.body
    assert told["error"]["message"] == told["detail"]
