"""A real embedding model in vLLM, against transformers: mean over the tokens, then length 1."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest

from services.cluster.errors import BadRequest, ContextLengthExceeded, Unimplemented
from services.inference.engines import engine_class
from services.inference.engines.base import Engine, EngineConfig
from services.inference.engines.generation import GenerationRequest, Sampling
from tests.contracts import engines
from tests.contracts.minilm import model_folder, reference

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TEXTS = [
    "def read_file(path): return open(path).read()",
    "The cat sits on the mat.",
    "Zwei Flaschen für die Prüfung, 値段は?",
    "word " * 200,
    ".",
]


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[Engine]:
    with engines.environment():
        with engines.warnings_of_vllm():
            config = EngineConfig(
                "minilm", model_folder(), "cpu", embeds=True, kv_cache_bytes=64 * 1024**2
            )
            engine = engine_class("vllm")(config)
            await engine.start(lambda phrase: None)
        yield engine
        await engines.close_vllm(engine)


async def test_vectors_are_those_of_the_reference(engine: Engine) -> None:
    found = await engine.embed(TEXTS)
    wanted = reference(TEXTS)
    assert engine.embedding_size == len(wanted[0]) == len(found.vectors[0])
    assert found.num_prompt_tokens > 200
    for vector, other in zip(found.vectors, wanted, strict=True):
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
        assert float(np.dot(vector, other)) == pytest.approx(1, abs=1e-3)
    for i, mine in enumerate(found.vectors):
        for j, other in enumerate(found.vectors):
            similarity = float(np.dot(wanted[i], wanted[j]))
            assert float(np.dot(mine, other)) == pytest.approx(similarity, abs=1e-3)


async def test_a_text_over_the_context_is_refused(engine: Engine) -> None:
    long = "word " * (engine.context_tokens + 1)
    with pytest.raises(ContextLengthExceeded, match="Text 1 has") as refused:
        await engine.embed(["fine", long])
    assert refused.value.param == "input"
    assert len((await engine.embed(["still fine"])).vectors) == 1


async def test_half_a_surrogate_pair_is_refused(engine: Engine) -> None:
    with pytest.raises(BadRequest, match="surrogate"):
        await engine.embed(["\ud83d"])


async def test_it_neither_generates_nor_scores(engine: Engine) -> None:
    request = GenerationRequest("r1", [101, 102], Sampling(max_tokens=1))
    with pytest.raises(Unimplemented, match="embeddings"):
        [delta async for delta in engine.generate(request)]
    with pytest.raises(Unimplemented, match="embeddings"):
        await engine.score([101, 102])
