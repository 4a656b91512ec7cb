"""A real embedding model is hosted and asked by the real OpenAI SDK, beside the starter model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import openai
import pytest

from tests.contracts.minilm import model_folder, reference
from tests.e2e.hosting import hosted
from tests.e2e.running import Cluster

pytestmark = pytest.mark.e2e

TEXTS = ["def read_file(path): return open(path).read()", "The cat sits on the mat.", "."]


@pytest.fixture(scope="module")
def model(cluster: Cluster) -> Iterator[str]:
    """Hosted, until the module is over."""
    with hosted(cluster, "minilm", model_folder()):
        yield "minilm"


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
