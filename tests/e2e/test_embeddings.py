"""A real embedding model is hosted and asked by the real OpenAI SDK, beside the starter model."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import numpy as np
import openai
import pytest

from tests.contracts.minilm import model_folder, reference
from tests.e2e.running import Cluster

pytestmark = pytest.mark.e2e

TEXTS = ["def read_file(path): return open(path).read()", "The cat sits on the mat.", "."]
PATIENCE_SECONDS = 240
GIB = 1024**3


@pytest.fixture(scope="module")
def admin(cluster: Cluster) -> Iterator[httpx.Client]:
    with cluster.client(cluster.admin_token) as client:
        yield client


@pytest.fixture(scope="module")
def model(admin: httpx.Client) -> Iterator[str]:
    """Hosted, until the module is over."""
    added = admin.post("/api/v1/models", json={"local_path": str(model_folder()), "name": "minilm"})
    assert added.status_code == 201, added.text
    made = admin.post("/api/v1/deployments", json={"model": "minilm", "device_bytes": 2 * GIB})
    assert made.status_code == 201, made.text
    place = f"/api/v1/deployments/{made.json()['deployment_id']}"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := admin.get(place).json())["phase"] != "ready":
        assert time.monotonic() < deadline, found
        assert found["phase"] != "failed", found
        time.sleep(0.2)
    yield "minilm"
    assert admin.delete(place).status_code == 204
    assert admin.delete("/api/v1/models/minilm").status_code == 204


@pytest.mark.parametrize("encoding_format", ["base64", "float"])
def test_vectors_are_those_of_the_reference(
    cluster: Cluster, model: str, encoding_format: str
) -> None:
    client = openai.OpenAI(base_url=f"{cluster.url}/v1", api_key=cluster.token, max_retries=0)
    if encoding_format == "base64":  # the SDK asks for it by itself
        answer = client.embeddings.create(model=model, input=TEXTS)
    else:
        answer = client.embeddings.create(model=model, input=TEXTS, encoding_format="float")
    assert answer.model == model
    assert answer.usage.prompt_tokens > len(TEXTS)
    for found, wanted in zip(answer.data, reference(TEXTS), strict=True):
        assert float(np.dot(found.embedding, wanted)) == pytest.approx(1, abs=1e-3)


def test_plugins_are_told_of_it(cluster: Cluster, model: str) -> None:
    with cluster.client() as client:
        caps = client.get("/refact-caps", headers={"User-Agent": "refact-lsp 0.10.30"}).json()
        assert caps["embedding"]["default_model"] == model
        assert caps["embedding"]["models"][model] == {"n_ctx": 256, "size": 384}
        refused = client.post("/v1/completions", json={"model": model, "prompt": "a"})
        assert refused.status_code == 400
        assert "hearth/starter-coder" in refused.json()["detail"]
