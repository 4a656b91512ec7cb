"""POST /v1/embeddings: vectors of texts, as OpenAI's clients and the Refact plugin ask for them."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.tasks import together
from services.gateway.auth import COMPLETIONS, Caller
from services.gateway.dialects.openai_requests import EmbeddingRequest
from services.gateway.dialects.openai_shapes import Embeddings
from services.gateway.generation import context_of
from services.gateway.live_answer import json_answer
from services.gateway.metrics import TOKENS
from services.gateway.request_body import read_json, takes
from services.gateway.routing import Target, Use, resolve
from services.gateway.state import GatewayState, state_of

router = APIRouter()

_BATCH = 64


@router.post("/v1/embeddings", response_model=Embeddings, openapi_extra=takes(EmbeddingRequest))
async def embed(request: Request, caller: Annotated[Caller, Depends(COMPLETIONS)]) -> Response:
    """One vector of length 1 for each text."""
    body = await read_json(request, EmbeddingRequest)
    state = state_of(request)
    target = resolve(state.view, body.model or "", caller.team_id, Use.EMBEDDING)
    return json_answer(request, lambda: _answer(state, caller, target, body))


async def _answer(
    state: GatewayState, caller: Caller, target: Target, body: EmbeddingRequest
) -> dict[str, Any]:
    _check_dimensions(body, target)
    context = context_of(caller)
    found = await together(
        state.speakers.embed(target, request) for request in _requests(body.inputs(), context)
    )
    num_tokens = sum(response.num_prompt_tokens for response in found)
    TOKENS.labels(target.model, "prompt").inc(num_tokens)
    vectors = [embedding.values for response in found for embedding in response.embeddings]
    return {
        "object": "list",
        "model": target.name,
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _packed(vector) if body.is_packed else list(vector),
            }
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": num_tokens, "total_tokens": num_tokens},
        "caps_version": state.view.caps_version,
    }


def _check_dimensions(body: EmbeddingRequest, target: Target) -> None:
    size = target.speaker.embedding_size
    if body.dimensions not in (None, size):
        raise BadRequest(
            f"{target.model} makes vectors of {size} values; other dimensions are not offered.",
            param="dimensions",
        )


def _requests(
    inputs: Sequence[str | Sequence[int]], context: pb.RequestContext
) -> Iterator[pb.EmbedRequest]:
    """Of so many texts that several replicas have something to do."""
    for start in range(0, len(inputs), _BATCH):
        request = pb.EmbedRequest(context=context)
        for given in inputs[start : start + _BATCH]:
            if isinstance(given, str):
                request.texts.append(given)
            else:
                request.token_ids.add(ids=given)
        yield request


def _packed(vector: Iterable[float]) -> str:
    """OpenAI's base64: 32-bit floats, the lowest byte first."""
    values = list(vector)
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
