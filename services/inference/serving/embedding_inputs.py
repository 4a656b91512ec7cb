"""What is to be embedded, as one request sends it."""

from __future__ import annotations

from collections.abc import Sequence

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb
from services.inference.serving.scores import MAX_TEXTS, check_texts

_PARAM = "input"


def inputs_of(request: pb.EmbedRequest, num_tokens: int) -> list[str | Sequence[int]]:
    """`num_tokens`: those of the vocabulary. Raises BadRequest and PayloadTooLarge."""
    if not request.token_ids:
        check_texts(request.texts, param=_PARAM)
        return list(request.texts)
    if request.texts:
        raise BadRequest("Send texts or token ids, not both.", param=_PARAM)
    if len(request.token_ids) > MAX_TEXTS:
        raise BadRequest(
            f"Send 1 to {MAX_TEXTS} texts, not {len(request.token_ids)}.", param=_PARAM
        )
    for given in request.token_ids:
        if beyond := [token_id for token_id in given.ids if token_id >= num_tokens]:
            raise BadRequest(
                f"Token id {beyond[0]} is outside the vocabulary of {num_tokens} tokens.",
                param=_PARAM,
            )
    return [given.ids for given in request.token_ids]
