"""Refact's own agent (0.10.14, which reads the old form of the caps) against the whole cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.refact_agent import refact_agent
from tests.e2e.running import Cluster
from tests.e2e.watching import measured, until

pytestmark = pytest.mark.e2e

MODEL = "hearth/starter-coder"
BEFORE = "class Circle:\n    def __init__(self, "
AFTER = (
    "        self.radius = radius\n",
    "        self.name = name\n        self.value = value\n",
)
NUM_TOKENS = 24


@pytest.fixture(scope="module")
def agent(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("agent")
    with refact_agent(cluster, cluster.token, home) as client:
        yield client


def at_the_cursor(after: str, **changes: Any) -> dict[str, Any]:
    """The request of a plugin whose cursor stands between BEFORE and the end of its line."""
    return {
        "inputs": {
            "sources": {"circle.py": f"{BEFORE}):\n{after}"},
            "cursor": {
                "file": "circle.py",
                "line": BEFORE.count("\n"),
                "character": len(BEFORE.splitlines()[-1]),
            },
            "multiline": False,
        },
        "parameters": {"temperature": 0, "max_new_tokens": NUM_TOKENS},
        "stream": False,
        "no_cache": True,
        **changes,
    }


def complete(agent: httpx.Client, body: dict[str, Any]) -> str:
    response = agent.post("/v1/code-completion", json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["code_completion"])


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """The data of the agent's server-sent events, which must end with [DONE]."""
    assert response.status_code == 200, response.text
    lines = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def num_tokens(cluster: Cluster, kind: str) -> float:
    """Tokens of prompts, or generated ones, that went through our gateway."""
    return measured(cluster, "hearth_tokens_total", model=MODEL, kind=kind)


def edited(agent: httpx.Client, file: Path, text: str) -> None:
    """As a plugin tells of every change of a file."""
    answer = agent.post("/v1/lsp-did-changed", json={"uri": f"file://{file}", "text": text})
    assert answer.status_code == 200, answer.text


def reported(home: Path, folder: str) -> list[str]:
    """Files of the agent's reports: those that wait ("compressed") or were taken ("sent")."""
    return [path.name for path in (home / ".cache/refact/telemetry" / folder).glob("*.json")]


def counted(cluster: Cluster) -> list[float]:
    """Characters by the robot, completions, those of which all was left, and calls."""
    model = {"model": MODEL, "adapter": ""}
    labels = {
        "hearth_written_characters_total": {"by": "robot", "language": "Python", **model},
        "hearth_written_completions_total": {"language": "Python", **model},
        "hearth_remaining_completions_total": {"after_seconds": "360", "remaining": "100", **model},
        "hearth_plugin_calls_total": {"scope": "completion", "result": "ok"},
    }
    return [measured(cluster, name, **wanted) for name, wanted in labels.items()]


def test_the_agent_reads_our_caps_and_no_other_server_is_in_them(
    cluster: Cluster, agent: httpx.Client
) -> None:
    caps = agent.get("/v1/caps").json()
    assert caps["cloud_name"] == "Hearth"
    assert MODEL in caps["running_models"]
    assert caps["code_completion_default_model"].startswith(MODEL)
    assert caps["code_chat_default_model"].startswith(MODEL)
    assert MODEL in caps["code_completion_models"]
    assert MODEL in caps["code_chat_models"]
    assert caps["telemetry_basic_dest"] == f"{cluster.url}/stats/telemetry-basic"
    assert caps["telemetry_basic_retrieve_my_own"] == f"{cluster.url}/stats/rh-stats"
    addresses = [value for value in caps.values() if "://" in str(value)]
    assert addresses
    assert all(str(address).startswith(cluster.url) for address in addresses)


@pytest.mark.parametrize("after", AFTER)
def test_the_agent_fills_in_the_middle(cluster: Cluster, agent: httpx.Client, after: str) -> None:
    """The prompt that it builds is the one that we build of `suffix`: as long, same answer."""
    prompt_before, generated_before = (
        num_tokens(cluster, "prompt"),
        num_tokens(cluster, "generated"),
    )
    text = complete(agent, at_the_cursor(after))
    assert num_tokens(cluster, "generated") > generated_before
    prompt_tokens = num_tokens(cluster, "prompt") - prompt_before
    with cluster.client() as client:
        body = {"prompt": BEFORE, "suffix": after, "stop": ["\n"]}
        ours = client.post(
            "/v1/completions",
            json={"model": MODEL, "temperature": 0, "max_tokens": NUM_TOKENS, **body},
        ).json()
    assert prompt_tokens == ours["usage"]["prompt_tokens"]
    assert text == ours["choices"][0]["text"]


def test_the_suffix_matters(agent: httpx.Client) -> None:
    answers = {complete(agent, at_the_cursor(after)) for after in AFTER}
    assert len(answers) == len(AFTER)


@pytest.mark.parametrize("multiline", [False, True])
def test_the_agent_streams_what_it_answers_whole(agent: httpx.Client, multiline: bool) -> None:
    body = at_the_cursor(AFTER[0])
    body["inputs"]["multiline"] = multiline
    whole = complete(agent, body)
    chunks = events(agent.post("/v1/code-completion", json={**body, "stream": True}))
    texts = [choice["code_completion"] for c in chunks for choice in c.get("choices", [])]
    assert any(texts)
    assert "".join(texts) == whole.rstrip()
    assert ("\n" in whole) <= multiline


def test_the_agent_streams_a_chat(cluster: Cluster, agent: httpx.Client) -> None:
    before = num_tokens(cluster, "generated")
    message = {"role": "user", "content": "Write a Python function that adds two numbers."}
    body = {"messages": [message], "model": MODEL, "parameters": {"max_new_tokens": 32}}
    chunks = events(agent.post("/v1/chat", json={**body, "stream": True, "chat_id": "tests"}))
    deltas = [choice["delta"] for chunk in chunks for choice in chunk.get("choices", [])]
    assert "".join(delta.get("content") or "" for delta in deltas).strip()
    (usage,) = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert num_tokens(cluster, "generated") - before == usage["completion_tokens"]


def test_the_agent_tells_why_an_adapter_does_not_answer(agent: httpx.Client) -> None:
    """It reads only a 400, and names itself in the request only because the caps ask for it."""
    body = at_the_cursor(AFTER[0], model=f"{MODEL}:no-such-adapter")
    response = agent.post("/v1/code-completion", json=body)
    assert response.status_code >= 400
    assert "There is no model" in response.json()["detail"]
    assert "status=404" not in response.text


def test_the_agent_sees_changes_by_the_version_in_an_answer(
    cluster: Cluster, agent: httpx.Client
) -> None:
    def version() -> int:
        return int(agent.get("/v1/caps").json()["caps_version"])

    before = version()
    with cluster.client(cluster.admin_token) as admin:
        files = {
            "adapter_config.json": json.dumps({"peft_type": "LORA", "r": 8}).encode(),
            "adapter_model.safetensors": b"never loaded",
        }
        made = admin.post("/api/v1/adapters", data={"model": MODEL, "name": "unused"}, files=files)
        assert made.status_code == 201, made.text
        assert version() == before
        complete(agent, at_the_cursor(AFTER[0]))
        until(lambda: version() > before)
        admin.delete(f"/api/v1/adapters/{made.json()['adapter_id']}")


def test_the_agent_reports_what_was_written_and_shows_it(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "circle.py"
    body = at_the_cursor(AFTER[0])
    body["inputs"] |= {"sources": {str(file): f"{BEFORE}):\n{AFTER[0]}"}}
    body["inputs"]["cursor"]["file"] = str(file)
    with refact_agent(cluster, cluster.token, tmp_path, reports=True) as agent:
        edited(agent, file, f"{BEFORE}):\n{AFTER[0]}")
        answer = agent.post("/v1/code-completion", json=body).json()
        text = str(answer["choices"][0]["code_completion"])
        accepted = {"snippet_telemetry_id": answer["snippet_telemetry_id"]}
        assert agent.post("/v1/snippet-accepted", json=accepted).json() == {"success": True}
        edited(agent, file, f"{BEFORE}{text}):\n{AFTER[0]}")
    assert not reported(tmp_path, "sent")
    assert {name.rpartition("-")[2] for name in reported(tmp_path, "compressed")} == {
        "comp.json",
        "net.json",
        "rh.json",
    }
    before = counted(cluster)
    num_robot_characters = len("".join(text.split()))
    assert num_robot_characters
    with refact_agent(cluster, cluster.token, tmp_path, reports=True) as agent:
        until(lambda: len(reported(tmp_path, "sent")) == 3)
        after = counted(cluster)
        plots = json.loads(agent.get("/v1/get-dashboard-plots").json()["data"])
    assert [new - old for new, old in zip(after, before, strict=True)] == [
        num_robot_characters,
        1,
        1,
        1,
    ]
    (shown,) = plots["table_refact_impact"]["data"]
    assert (shown["lang"], shown["refact"], shown["completions"]) == (
        ".py",
        num_robot_characters,
        1,
    )


def test_the_agent_tells_that_its_token_is_wrong(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with refact_agent(cluster, "wrong", tmp_path_factory.mktemp("agent")) as agent:
        response = agent.get("/v1/caps")
    assert response.status_code >= 500
    assert "The token is not known here" in response.json()["detail"]
