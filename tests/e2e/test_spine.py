"""What the README promises, on the running cluster with the real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.running import Cluster

pytestmark = pytest.mark.e2e

MODEL = "hearth/starter-coder"


@pytest.fixture
def client(cluster: Cluster) -> Iterator[httpx.Client]:
    with cluster.client() as client:
        yield client


def events(client: httpx.Client, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The data of every server-sent event; the stream must end with [DONE]."""
    with client.stream("POST", path, json={**body, "stream": True}) as response:
        assert response.status_code == 200
        lines = [line[6:] for line in response.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def complete(client: httpx.Client, **body: Any) -> dict[str, Any]:
    response = client.post("/v1/completions", json={"temperature": 0, "max_tokens": 16, **body})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_ready_names_the_engine(client: httpx.Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert "vllm" in answer.text
    assert MODEL in answer.text


def test_a_streamed_completion_comes_from_vllm_token_by_token(client: httpx.Client) -> None:
    body = {"prompt": "import os\n\ndef list_files(", "max_tokens": 24, "temperature": 0}
    chunks = events(client, "/v1/completions", body)
    text = "".join(choice["text"] for chunk in chunks for choice in chunk["choices"])
    assert len(chunks) > 3
    assert text == complete(client, **body)["choices"][0]["text"]
    assert all(chunk["system_fingerprint"].startswith("vllm") for chunk in chunks)
    assert {chunk["model"] for chunk in chunks} == {MODEL}
    assert all(isinstance(chunk["caps_version"], int) for chunk in chunks)


def test_fill_in_the_middle_uses_the_suffix(client: httpx.Client) -> None:
    prefix = "class Circle:\n    def __init__(self, "
    answers = {
        complete(client, prompt=prefix, suffix=suffix)["choices"][0]["text"]
        for suffix in (
            "):\n        self.radius = radius\n",
            "):\n        self.name = name\n        self.value = value\n",
            "",
        )
    }
    assert len(answers) > 1


def test_chat_answers(client: httpx.Client) -> None:
    message = {"role": "user", "content": "Write a Python function that adds two numbers."}
    chunks = events(client, "/v1/chat/completions", {"messages": [message], "max_tokens": 32})
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content") or "" for delta in deltas).strip()


def test_echo_with_logprobs_tells_the_loss_of_a_prompt(client: httpx.Client) -> None:
    def mean_loss(prompt: str) -> float:
        answer = complete(client, prompt=prompt, echo=True, logprobs=0, max_tokens=0)
        values = answer["choices"][0]["logprobs"]["token_logprobs"]
        assert values[0] is None
        return float(-sum(values[1:]) / len(values[1:]))

    code = "import os\n\n\ndef main() -> None:\n    print(os.getcwd())\n"
    assert mean_loss(code) < mean_loss("zq8 Kx!! vvpl 0x3 ~~ WQeR jjk #@ mNb")


def test_stop_and_seed(client: httpx.Client) -> None:
    stopped = complete(client, prompt="def f(x):\n", max_tokens=64, stop=["\n"])
    assert "\n" not in stopped["choices"][0]["text"]
    assert stopped["choices"][0]["finish_reason"] == "stop"
    drawn = [
        complete(client, prompt="x = ", temperature=1, seed=7)["choices"][0]["text"]
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1]


def test_token_ids_are_a_prompt(client: httpx.Client) -> None:
    assert complete(client, prompt=[300, 301, 302])["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"model": "no/such-model", "prompt": "x"}, 404, "no/such-model"),
        ({"prompt": "word " * 20_000}, 400, "tokens"),
        ({"prompt": "x", "max_tokens": -1}, 400, "max_tokens"),
        ({"prompt": "x", "best_of": 3}, 400, "best_of"),
        ({}, 400, "prompt"),
    ],
)
def test_a_request_that_cannot_work_is_told_why(
    client: httpx.Client, body: dict[str, Any], status: int, word: str
) -> None:
    response = client.post("/v1/completions", json=body)
    assert response.status_code in (status, 422), response.text
    assert word in response.json()["error"]["message"]
    assert response.json()["detail"]


def test_malformed_json_is_told_why(client: httpx.Client) -> None:
    for body in (b"{", b'{"prompt": "\xff"}', b"[" * 100_000, b'{"prompt": NaN}'):
        response = client.post(
            "/v1/completions", content=body, headers={"Content-Type": "application/json"}
        )
        assert response.status_code == 400, body[:20]
        assert response.json()["error"]["message"].endswith(".")


def test_no_token_and_a_token_without_the_scope(cluster: Cluster) -> None:
    with cluster.client(token="") as client:
        client.headers.pop("Authorization")
        assert client.post("/v1/completions", json={"prompt": "x"}).status_code == 401
    with cluster.client() as client:
        response = client.get("/api/v1/tokens")
        assert response.status_code == 403
        assert "scope" in response.json()["error"]["message"]


def test_the_tokenizer_is_public_and_whole(cluster: Cluster) -> None:
    response = httpx.get(f"{cluster.url}/tokenizer/{MODEL.replace('/', '--')}")
    assert response.status_code == 200
    assert "<|fim_middle|>" in response.text
    json.loads(response.text)
