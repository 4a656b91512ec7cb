"""What is learned in containers outlives them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.docker.running import HEALTHY_SECONDS, READY_SECONDS, Composed, wait_for
from tests.e2e import loop
from tests.e2e.packages import zipped
from tests.e2e.running import ROOT

pytestmark = pytest.mark.docker

MODEL = "hearth/starter-coder"
_KILL_THE_SERVICE = """
import os
first, *_ = open("/proc/1/task/1/children").read().split()
os.kill(int(first), 9)
"""


def sources() -> bytes:
    """Hearth's own code, as any code."""
    folder = ROOT / "services" / "cluster"
    names: list[Path] = [p for p in sorted(folder.glob("*.py")) if p.stat().st_size < 20_000]
    return zipped({path.name: path.read_bytes() for path in names})


@pytest.fixture(scope="module")
def adapter(hearth: Composed) -> str:
    """The name of the model that came out of an upload, a scan and a run."""
    with hearth.client(hearth.admin_token) as admin:
        project_id = loop.create_project(admin, "own", MODEL)
        loop.upload(admin, project_id, "code.zip", sources())
        scan, dataset = loop.scanned(admin, project_id, num_sources=1)
        assert dataset["train"]["num_files"] > 0, scan
        run_id = loop.start_run(
            admin,
            project_id,
            "first",
            {"train_steps": 10},
            max_evaluation_cases=10,
            publish_policy="always",
        )
        run = loop.trained(admin, run_id)
        assert run["status"] == "succeeded", run
        (adapter_id,) = run["adapter_ids"]
    return f"{MODEL}:{adapter_id}"


def models(client: httpx.Client) -> set[str]:
    return {model["id"] for model in loop.made(client.get("/v1/models"))["data"]}


def assert_adapter_answers(hearth: Composed, adapter: str) -> None:
    """With the token that was made at the first start."""
    with hearth.client(hearth.token) as client:
        assert adapter in models(client)
        body = {"model": adapter, "prompt": "import ", "max_tokens": 4}
        assert loop.made(client.post("/v1/completions", json=body))["model"] == adapter


def test_an_upload_becomes_an_adapter_that_answers(hearth: Composed, adapter: str) -> None:
    assert_adapter_answers(hearth, adapter)


def test_down_and_up_keep_everything(hearth: Composed, adapter: str) -> None:
    before = records(hearth)
    hearth.stop()
    hearth.start()
    assert records(hearth) == before
    wait_for(lambda: is_offered(hearth, adapter), READY_SECONDS, "the adapter")
    assert_adapter_answers(hearth, adapter)


def test_a_killed_service_comes_back(hearth: Composed, adapter: str) -> None:
    num_restarts = hearth.inspect("inference")["RestartCount"]
    hearth.run_inside("inference", "python", "-c", _KILL_THE_SERVICE)
    wait_for(lambda: hearth.inspect("inference")["RestartCount"] > num_restarts, 60, "a new start")
    wait_for(lambda: hearth.health("inference") == "healthy", HEALTHY_SECONDS, "its health")
    wait_for(lambda: is_offered(hearth, adapter), READY_SECONDS, "the adapter")
    assert_adapter_answers(hearth, adapter)


def is_offered(hearth: Composed, adapter: str) -> bool:
    with hearth.client(hearth.token) as client:
        return hearth.answers() and adapter in models(client)


def records(hearth: Composed) -> dict[str, object]:
    """What people have made: nothing of it may change when containers do."""
    places = ("projects", "runs", "tokens")
    with hearth.client(hearth.admin_token) as admin:
        return {place: loop.made(admin.get(f"/api/v1/{place}")) for place in places}
