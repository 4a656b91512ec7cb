"""A vLLM server that was there before Hearth stands behind it, and answers as it does by itself."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.e2e.clients.engine_counters import EngineCounters, EngineTokens
from tests.e2e.clients.vllm_server import KEY, MODEL, vllm_server
from tests.e2e.running import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.clients]

PROMPT = "import os\n\n\ndef list_files(folder):\n    "
SUFFIX = "\n    return names\n"
STARTER = "hearth/starter-coder"  # the same weights, on a replica of Hearth's


@pytest.fixture(scope="module")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; Hearth knows it as a provider of the kind `remote`."""
    with (
        vllm_server(tmp_path_factory.mktemp("vllm") / "log") as url,
        cluster.client(cluster.admin_token) as admin,
    ):
        model = {
            "name": MODEL,
            "context_tokens": 2048,
            "supports_completion": True,
            "fim_family": "qwen2.5-coder",
        }
        wanted = {
            "kind": "remote",
            "provider_id": "ours",
            "base_url": url,
            "key": KEY,
            "is_enabled": True,
            "models": [model],
        }
        made = admin.post("/api/v1/providers", json=wanted)
        assert made.status_code == 201, made.text
        tested = admin.post("/api/v1/providers/ours/test", json={}).json()
        assert tested["problem"] == ""
        assert [offered["name"] for offered in tested["models"]] == [MODEL]
        yield url
        assert admin.delete("/api/v1/providers/ours").status_code == 204


@pytest.fixture
def hearth(cluster: Cluster, server: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{cluster.url}/v1", api_key=cluster.token, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def direct(server: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server, api_key=KEY, max_retries=0) as sdk:
        yield sdk


def test_it_is_listed_and_stays_on_the_site(hearth: openai.OpenAI) -> None:
    (found,) = [model for model in hearth.models.list() if model.id == MODEL]
    assert found.owned_by == "ours"
    assert found.model_extra is not None
    assert found.model_extra["leaves_site"] is False


def test_a_completion_is_the_servers_own(
    hearth: openai.OpenAI, direct: openai.OpenAI, server: str
) -> None:
    """Streamed and whole; the server's counters grow by what the answers tell."""
    asked = {"model": MODEL, "prompt": PROMPT, "max_tokens": 24, "temperature": 0, "logprobs": 1}
    own = direct.completions.create(**asked)  # type: ignore[call-overload]
    told: list[EngineTokens] = []
    with EngineCounters(server.removesuffix("/v1") + "/metrics").grow_by(told):
        whole = hearth.completions.create(**asked)  # type: ignore[call-overload]
        options = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = list(hearth.completions.create(**asked, **options))  # type: ignore[call-overload]
        usages = (whole.usage, chunks[-1].usage)
        told += [EngineTokens(u.prompt_tokens, u.completion_tokens) for u in usages]
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert own.choices[0].text == whole.choices[0].text == text
    assert whole.choices[0].logprobs.token_logprobs == pytest.approx(
        own.choices[0].logprobs.token_logprobs, abs=1e-3
    )
    assert len([chunk for chunk in chunks if chunk.choices]) > 1, "streamed as it came"


def test_a_cursor_is_filled_as_a_replica_fills_it(hearth: openai.OpenAI) -> None:
    """The family's tokens are written by Hearth: the server knows nothing of suffixes."""
    answers = [
        hearth.completions.create(
            model=model, prompt=PROMPT, suffix=SUFFIX, max_tokens=16, temperature=0
        )
        for model in (MODEL, STARTER)
    ]
    assert answers[0].choices[0].text == answers[1].choices[0].text
    assert [answer.model for answer in answers] == [MODEL, STARTER]


def test_what_the_server_refuses_is_told(hearth: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="ours answers: "):
        hearth.completions.create(model=MODEL, prompt="x " * 4000, max_tokens=1)
