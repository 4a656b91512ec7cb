"""Plugins complete with the adapter that an administrator chose, without a restart of anything."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.contracts.tiny_model import write_adapter
from tests.e2e.clients.conftest import STARTER
from tests.e2e.clients.tabby_agent import LineAgent, tabby_agent
from tests.e2e.refact_agent import refact_agent
from tests.e2e.running import Cluster
from tests.e2e.watching import measured, until

pytestmark = [pytest.mark.e2e, pytest.mark.clients]

MODEL = "hearth/starter-coder"
BEFORE = "class Circle:\n    def __init__(self, name, radius):\n        self.radius = "
AFTER = "\n        self.name = name\n"
NUM_TOKENS = 24


@pytest.fixture(scope="module")
def admin(cluster: Cluster) -> Iterator[httpx.Client]:
    with cluster.client(cluster.admin_token) as client:
        yield client


@pytest.fixture(scope="module")
def deployment(admin: httpx.Client) -> str:
    found = next(d for d in admin.get("/api/v1/deployments").json() if d["model"] == MODEL)
    return f"/api/v1/deployments/{found['deployment_id']}"


@pytest.fixture(scope="module")
def adapter_id(
    admin: httpx.Client, deployment: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A real LoRA, imported and loaded; nobody has chosen it."""
    folder = tmp_path_factory.mktemp("adapter")
    write_adapter(STARTER, folder, rank=32)
    files = {
        name: (folder / name).read_bytes()
        for name in ("adapter_config.json", "adapter_model.safetensors")
    }
    made = admin.post("/api/v1/adapters", data={"model": MODEL, "name": "chosen"}, files=files)
    assert made.status_code == 201, made.text
    adapter_id = str(made.json()["adapter_id"])
    loaded = admin.put(f"{deployment}/adapters/{adapter_id}")
    assert loaded.status_code == 200, loaded.text
    yield adapter_id
    assert admin.delete(f"{deployment}/adapters/{adapter_id}").status_code == 200
    assert admin.delete(f"/api/v1/adapters/{adapter_id}").status_code == 204


class Choice:
    """What MODEL:auto means, as an administrator sets it."""

    def __init__(self, admin: httpx.Client, deployment: str) -> None:
        self._admin = admin
        self._place = deployment

    def __call__(self, adapter_id: str) -> None:
        """ "" is the base."""
        policy = "named" if adapter_id else "off"
        wanted = {"adapter_policy": policy, "default_adapter_id": adapter_id}
        changed = self._admin.patch(self._place, json=wanted)
        assert changed.status_code == 200, changed.text


@pytest.fixture
def choose(admin: httpx.Client, deployment: str) -> Iterator[Choice]:
    before = admin.get(deployment).json()
    choice = Choice(admin, deployment)
    choice("")
    yield choice
    policy = {name: before[name] for name in ("adapter_policy", "default_adapter_id")}
    assert admin.patch(deployment, json=policy).status_code == 200


def by_the_sdk(cluster: Cluster, model: str, stop: list[str], num_tokens: int) -> str:
    """The greedy completion of the same place by the openai SDK, which names what it wants."""
    with openai.OpenAI(base_url=f"{cluster.url}/v1", api_key=cluster.token) as sdk:
        answer = sdk.completions.create(
            model=model,
            prompt=BEFORE,
            suffix=AFTER,
            temperature=0,
            max_tokens=num_tokens,
            stop=stop,
        )
    assert answer.model == model
    return answer.choices[0].text


def test_refacts_agent_completes_with_it(
    cluster: Cluster, adapter_id: str, choose: Choice, tmp_path: Path
) -> None:
    """An answer tells it that its caps are old; the completion after that one is the adapter's."""
    chosen = f"{MODEL}:{adapter_id}"
    expected = {
        name: by_the_sdk(cluster, name, ["\n"], NUM_TOKENS).rstrip() for name in (MODEL, chosen)
    }
    assert expected[MODEL] != expected[chosen]
    body = {
        "inputs": {
            "sources": {"circle.py": BEFORE + AFTER},
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
    }
    with refact_agent(cluster, cluster.token, tmp_path) as agent:

        def completed() -> tuple[str, str]:
            answer = agent.post("/v1/code-completion", json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()["model"], answer.json()["choices"][0]["code_completion"].rstrip()

        def knows(name: str) -> bool:
            caps = agent.get("/v1/caps").json()
            return bool(caps["code_completion_default_model"] == name)

        for name, wanted in ((MODEL, ""), (chosen, adapter_id), (MODEL, "")):
            choose(wanted)
            completed()
            until(partial(knows, name))
            assert completed() == (name, expected[name])


async def test_tabbys_agent_completes_with_it(
    cluster: Cluster, adapter_id: str, choose: Choice, tmp_path: Path
) -> None:
    """It names no model: the next completion already is the adapter's, and so are its events."""
    chosen = f"{MODEL}:{adapter_id}"
    place: dict[str, Any] = {
        "filepath": "circle.py",
        "language": "python",
        "manually": True,
    }
    async with tabby_agent(LineAgent, f"{cluster.url}/tabby", cluster.token, tmp_path) as agent:
        assert await agent.call("initialize", {"clientProperties": {}})
        for number, (name, wanted) in enumerate([(MODEL, ""), (chosen, adapter_id), (MODEL, "")]):
            choose(wanted)
            text = f"# {number}\n{BEFORE}"  # what it was told of a place before, it says again
            place |= {"text": text + AFTER, "position": len(text)}
            answer = await agent.call("provideCompletions", place)
            assert answer["id"].split("-", 2)[2] == name
            labels = {"model": MODEL, "adapter": wanted, "event": "accepted"}
            before = measured(cluster, "hearth_completion_events_total", **labels)
            event = {"type": "select", "completion_id": answer["id"], "choice_index": 0}
            assert await agent.call("postEvent", {**event, "view_id": "v", "elapsed": 9})
            assert measured(cluster, "hearth_completion_events_total", **labels) == before + 1
