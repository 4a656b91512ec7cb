"""/v1/embeddings, through real RPC, to an engine whose vectors say what they were made of."""

from __future__ import annotations

import base64
import struct
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.inference.engines.echo_engine import EchoEngine
from services.inference.engines.generation import Embeddings
from tests.gateway.conftest import (
    MODEL,
    EchoReplica,
    Gateway,
    deployment,
    echo_replica,
    gateway_settings,
    serving,
)


class LengthEngine(EchoEngine):
    """Each vector begins with the length of what it stands for."""

    embedding_size = 3

    async def embed(self, inputs: Sequence[str | Sequence[int]]) -> Embeddings:
        return Embeddings([[len(given), 0.5, -1.0] for given in inputs], sum(map(len, inputs)))


@pytest_asyncio.fixture
async def embedding_replica(
    store: Store, settings: ClusterSettings, tmp_path: Path
) -> AsyncIterator[EchoReplica]:
    registry = Registry(store)
    await registry.put_deployment(deployment())
    async with echo_replica(settings, registry, "r1", tmp_path, LengthEngine) as replica:
        yield replica


@pytest_asyncio.fixture
async def embedding_gateway(
    store: Store, settings: ClusterSettings, embedding_replica: EchoReplica
) -> AsyncIterator[Gateway]:
    async with serving(gateway_settings(settings), store) as gateway:
        yield gateway


async def post(gateway: Gateway, **body: Any) -> httpx.Response:
    async with gateway.client() as client:
        return await client.post("/v1/embeddings", json=body)


@pytest.mark.parametrize(
    ("given", "lengths"),
    [
        ("abc", [3]),
        (["abc", "de"], [3, 2]),
        ([97, 98, 99, 100], [4]),
        ([[97], [98, 99]], [1, 2]),
        (["x" * n for n in range(1, 151)], list(range(1, 151))),
    ],
)
async def test_every_form_of_input_is_answered_in_order(
    embedding_gateway: Gateway, given: Any, lengths: list[int]
) -> None:
    answer = await post(embedding_gateway, input=given, model=MODEL)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["model"] == MODEL
    assert [each["index"] for each in found["data"]] == list(range(len(lengths)))
    assert [each["embedding"] for each in found["data"]] == [[n, 0.5, -1.0] for n in lengths]
    assert found["usage"] == {"prompt_tokens": sum(lengths), "total_tokens": sum(lengths)}


async def test_base64_holds_the_same_floats(embedding_gateway: Gateway) -> None:
    answer = (await post(embedding_gateway, input="abc", encoding_format="base64")).json()
    packed = base64.b64decode(answer["data"][0]["embedding"])
    assert struct.unpack("<3f", packed) == (3.0, 0.5, -1.0)


@pytest.mark.parametrize(
    ("body", "words", "param"),
    [
        ({}, "input", "input"),
        ({"input": []}, "1 to 2048", None),
        ({"input": ["a"] * 2049}, "1 to 2048", None),
        ({"input": [["a"]]}, "input", "input"),
        ({"input": "a", "dimensions": 2}, "vectors of 3 values", "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format", "encoding_format"),
        ({"input": [2**31]}, "outside the vocabulary", "input"),
    ],
)
async def test_what_cannot_be_embedded_is_said(
    embedding_gateway: Gateway, body: dict[str, Any], words: str, param: str | None
) -> None:
    answer = await post(embedding_gateway, **body)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert param is None or answer.json()["error"]["param"] == param


async def test_a_model_of_embeddings_completes_nothing(embedding_gateway: Gateway) -> None:
    async with embedding_gateway.client() as client:
        refused = await client.post("/v1/completions", json={"prompt": "a", "model": MODEL})
    assert refused.status_code == 400
    assert "generates text" in refused.json()["detail"]


async def test_a_model_of_text_makes_no_embeddings(gateway: Gateway) -> None:
    refused = await post(gateway, input="a", model=MODEL)
    assert refused.status_code == 400
    assert "makes embeddings" in refused.json()["detail"]
