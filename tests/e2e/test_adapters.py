"""A LoRA goes into the serving engine and out again while it answers others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from tests.e2e.running import ROOT, Cluster
from tests.e2e.streams import Streams

pytestmark = pytest.mark.e2e

MODEL = "hearth/starter-coder"
WEIGHTS = ROOT / "services" / "inference" / "starter"
NUM_STREAMS = 8


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA that changes the model visibly: its B matrices are noise instead of zero."""
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(WEIGHTS, dtype=torch.float32)
    config = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"])
    model = get_peft_model(base, config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    folder = tmp_path_factory.mktemp("adapter")
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def admin(cluster: Cluster) -> Iterator[httpx.Client]:
    with cluster.client(cluster.admin_token) as client:
        yield client


def mean_loss(cluster: Cluster, model: str) -> float:
    body = {
        "model": model,
        "prompt": "import os\n\n\ndef main() -> None:\n    print(os.getcwd())\n",
        "echo": True,
        "logprobs": 0,
        "max_tokens": 0,
    }
    with cluster.client() as client:
        response = client.post("/v1/completions", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert answer["model"] == model
    values = answer["choices"][0]["logprobs"]["token_logprobs"][1:]
    return -float(sum(values)) / len(values)


def test_an_adapter_comes_and_goes_under_load(
    cluster: Cluster, admin: httpx.Client, adapter: Path
) -> None:
    deployment_id = admin.get("/api/v1/deployments").json()[0]["deployment_id"]
    before = mean_loss(cluster, MODEL)
    with Streams(cluster, MODEL, NUM_STREAMS) as streams:
        files = {
            name: (name, (adapter / name).read_bytes())
            for name in ("adapter_config.json", "adapter_model.safetensors")
        }
        made = admin.post("/api/v1/adapters", data={"model": MODEL, "name": "noise"}, files=files)
        assert made.status_code == 201, made.text
        adapter_id = made.json()["adapter_id"]
        place = f"/api/v1/deployments/{deployment_id}/adapters/{adapter_id}"
        loaded = admin.put(place)
        assert loaded.status_code == 200, loaded.text
        name = f"{MODEL}:{adapter_id}"
        assert name in [model["id"] for model in admin.get("/v1/models").json()["data"]]
        assert abs(mean_loss(cluster, name) - before) > 0.01
        assert mean_loss(cluster, MODEL) == pytest.approx(before, abs=1e-3)
        assert admin.delete(place).status_code in (200, 204)
        with cluster.client() as client:
            gone = client.post("/v1/completions", json={"model": name, "prompt": "x"})
        assert gone.status_code == 404
    assert streams.failures == []
    assert streams.num_done >= NUM_STREAMS
