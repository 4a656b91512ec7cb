from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from services.cluster.identity import Scope
from services.cluster.records import ReplicaPhase
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.gateway.conftest import (
    MODEL,
    EchoReplica,
    Gateway,
    deployment,
    gateway_settings,
    serving,
)


async def post(gateway: Gateway, path: str = "/v1/completions", **body: Any) -> httpx.Response:
    async with gateway.client() as client:
        return await client.post(path, json={"temperature": 0, **body})


async def events(gateway: Gateway, path: str, **body: Any) -> list[Any]:
    answer = await post(gateway, path, stream=True, **body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    data = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    return [json.loads(item) for item in data]


async def test_a_completion_is_whole(gateway: Gateway) -> None:
    answer = (await post(gateway, prompt="abcdef", max_tokens=4)).json()
    assert answer["object"] == "text_completion"
    assert answer["model"] == MODEL
    assert answer["system_fingerprint"] == "echo-1"
    assert answer["choices"] == [
        {"index": 0, "text": "abcd", "logprobs": None, "finish_reason": "length"}
    ]
    assert answer["usage"]["prompt_tokens"] == 6
    assert answer["usage"]["total_tokens"] == 10
    assert isinstance(answer["caps_version"], int)


async def test_a_stream_says_the_same_in_pieces(gateway: Gateway) -> None:
    chunks = await events(
        gateway,
        "/v1/completions",
        prompt="abcdef",
        max_tokens=6,
        stream_options={"include_usage": True},
    )
    *pieces, last = chunks
    assert "".join(piece["choices"][0]["text"] for piece in pieces) == "abcdef"
    assert pieces[-1]["choices"][0]["finish_reason"] == "length"
    assert all(piece["usage"] is None for piece in pieces)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 6
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_several_prompts_and_answers_have_their_places(gateway: Gateway) -> None:
    answer = (await post(gateway, prompt=["ab", "cd"], n=2, max_tokens=2)).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert [choice["text"] for choice in answer["choices"]] == ["ab", "ab", "cd", "cd"]
    assert answer["usage"] == {
        "prompt_tokens": 4,
        "completion_tokens": 8,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


@pytest.mark.parametrize("prompt", ["abc", [97, 98, 99]])
async def test_echo_gives_the_prompt_with_its_logprobs(gateway: Gateway, prompt: Any) -> None:
    answer = (await post(gateway, prompt=prompt, echo=True, logprobs=2, max_tokens=1)).json()
    (choice,) = answer["choices"]
    assert choice["text"] == "abca"
    assert choice["logprobs"]["tokens"] == ["a", "b", "c", "a"]
    assert choice["logprobs"]["token_logprobs"][0] is None
    assert choice["logprobs"]["token_logprobs"][1] < 0
    assert choice["logprobs"]["text_offset"] == [0, 1, 2, 3]
    assert len(choice["logprobs"]["top_logprobs"][1]) == 2


async def test_echo_of_a_prompt_alone_generates_nothing(gateway: Gateway) -> None:
    answer = (await post(gateway, prompt="abc", echo=True, logprobs=0, max_tokens=0)).json()
    assert answer["choices"][0]["text"] == "abc"
    assert len(answer["choices"][0]["logprobs"]["tokens"]) == 3
    assert answer["usage"]["completion_tokens"] == 0


async def test_echo_streams_the_prompt_first(gateway: Gateway) -> None:
    chunks = await events(gateway, "/v1/completions", prompt="abc", echo=True, max_tokens=2)
    assert [chunk["choices"][0]["text"] for chunk in chunks][0] == "abc"


async def test_a_suffix_makes_fill_in_the_middle(gateway: Gateway, replica: EchoReplica) -> None:
    answer = await post(gateway, prompt="before", suffix="after", max_tokens=2)
    assert answer.status_code == 200
    (request,) = replica.engine.requests
    specials = replica.engine.tokenizer.special_tokens
    ids = list(request.prompt_token_ids)
    assert ids[0] == specials["<|fim_prefix|>"]
    assert ids[7] == specials["<|fim_suffix|>"]
    assert ids[-1] == specials["<|fim_middle|>"]


async def test_chat_whole_and_streamed(gateway: Gateway) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
    path = "/v1/chat/completions"
    answer = (await post(gateway, path, **body)).json()
    message = answer["choices"][0]["message"]
    assert answer["object"] == "chat.completion"
    assert message["role"] == "assistant"
    chunks = await events(gateway, path, **body)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content", "") for delta in deltas) == message["content"]
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)


async def test_parts_of_a_message_are_joined_and_pictures_refused(gateway: Gateway) -> None:
    path = "/v1/chat/completions"
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    message = {"role": "user", "content": parts}
    assert (await post(gateway, path, messages=[message], max_tokens=1)).status_code == 200
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    message = {"role": "user", "content": [picture]}
    assert (await post(gateway, path, messages=[message])).status_code == 400


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"prompt": "x", "model": "none/such"}, 404, "none/such"),
        ({"prompt": "x", "model": f"{MODEL}:none"}, 404, "none"),
        ({"prompt": "x" * 5000}, 400, "4096"),
        ({"prompt": ""}, 400, "prompt"),
        ({"prompt": []}, 400, "prompt"),
        ({"prompt": "x", "temperature": 9}, 400, "temperature"),
        ({"prompt": "x", "logit_bias": {"a": 1}}, 400, "logit_bias"),
        ({"prompt": [1, 999999]}, 400, "vocabulary"),
        ({"prompt": "x", "n": 100}, 400, "n:"),
        ({"prompt": "x", "suffix": "y", "echo": True}, 400, "suffix"),
        ({"prompt": "x", "max_tokens": 0}, 400, "echo"),
        ({"prompt": "x", "max_tokens": 2**32}, 400, "max_tokens"),
        ({"prompt": "x", "top_k": 2**32}, 400, "top_k"),
        ({"prompt": "x", "seed": 2**63}, 400, "seed"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_cannot_work_is_told(
    gateway: Gateway, body: dict[str, Any], status: int, word: str, stream: bool
) -> None:
    answer = await post(gateway, **{**body, "stream": stream})
    assert answer.status_code == status, answer.text
    assert word in answer.json()["error"]["message"]
    assert answer.json()["detail"] == answer.json()["error"]["message"]
    assert isinstance(answer.json()["caps_version"], int)


async def test_the_largest_seed_can_be_moved_on(gateway: Gateway) -> None:
    answer = await post(gateway, prompt="abc", max_tokens=1, seed=2**63 - 1, n=2)
    assert answer.status_code == 200, answer.text


async def test_the_replica_names_the_field(gateway: Gateway) -> None:
    answer = await post(gateway, prompt="x" * 5000)
    assert answer.json()["error"]["param"] == "prompt"


async def test_null_is_absent_and_the_unknown_is_ignored(gateway: Gateway) -> None:
    answer = await post(gateway, prompt="abc", max_tokens=1, stop=None, n=None, best=1, user="u")
    assert answer.status_code == 200, answer.text


async def test_refacts_agent_reads_a_400(gateway: Gateway) -> None:
    async with gateway.client() as client:
        client.headers["User-Agent"] = "refact-lsp 0.10.14"
        body = {"prompt": "x", "model": "none/such"}
        assert (await client.post("/v1/completions", json=body)).status_code == 400


async def test_while_nothing_is_ready_the_reason_is_told(
    store: Store, settings: ClusterSettings
) -> None:
    wanted = deployment().model_copy(update={"detail": "It reads its weights."})
    await Registry(store).put_deployment(wanted)
    async with serving(gateway_settings(settings), store) as gateway:
        answer = await post(gateway, prompt="x")
        assert answer.status_code == 503
        assert "It reads its weights." in answer.json()["detail"]
        assert int(answer.headers["Retry-After"]) >= 1
        async with gateway.client(None) as client:
            ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["waiting_for"][0]["model"] == MODEL


async def test_a_dead_engine_before_the_first_token_is_503(
    gateway: Gateway, replica: EchoReplica
) -> None:
    replica.engine.die()
    answer = await post(gateway, prompt="x")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "engine_unavailable"


async def test_a_replica_that_is_gone_is_passed_over(
    gateway: Gateway, replica: EchoReplica
) -> None:
    """The registry still says ready; nobody listens there."""
    gone = replica.state.record().model_copy(
        update={"replica_id": "r0", "address": "127.0.0.1:1", "phase": ReplicaPhase.READY}
    )
    await gateway.state.registry.put_replica(gone)
    await gateway.state.cache.refresh()
    for number in range(4):
        answer = await post(gateway, prompt=f"{number}" * 80, max_tokens=1)
        assert answer.status_code == 200, answer.text


async def test_models_are_listed(gateway: Gateway) -> None:
    async with gateway.client(Scope.MODELS_READ) as client:
        listed = (await client.get("/v1/models")).json()["data"]
        assert [model["id"] for model in listed] == [MODEL, f"{MODEL}:auto"]
        assert (await client.get(f"/v1/models/{MODEL}")).json()["id"] == MODEL
        assert (await client.get("/v1/models/none/such")).status_code == 404


async def test_the_tokenizer_is_public(gateway: Gateway) -> None:
    async with gateway.client(None) as client:
        assert (await client.get("/tokenizer/none--such")).status_code == 404
