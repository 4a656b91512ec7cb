"""What leaves the site leaves without the secrets whose form is known."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.secret_patterns import mask


def masked_request(request: pb.GenerateRequest, found: Counter[str]) -> pb.GenerateRequest:
    """As `masked_prompt`, with the schema that holds the answer and with what ends it."""
    masked = pb.GenerateRequest(prompt=masked_prompt(request.prompt, found))
    masked.sampling.CopyFrom(request.sampling)
    structured = masked.sampling.structured
    if structured.HasField("json_schema"):
        structured.json_schema = _masked_json(structured.json_schema, found)
    masked.sampling.stop[:] = [mask(stop, found) for stop in request.sampling.stop]
    return masked


def masked_prompt(prompt: pb.Prompt, found: Counter[str]) -> pb.Prompt:
    """`found` counts what was masked, by kind. Raises BadRequest for token ids, which hide it."""
    if prompt.HasField("tokens"):
        raise BadRequest(
            "Token ids are not sent to an outside provider, because secrets cannot be masked in"
            " them: send the prompt as text.",
            param="prompt",
        )
    masked = pb.Prompt()
    masked.CopyFrom(prompt)
    if masked.HasField("text"):
        masked.text = mask(masked.text, found)
    cursor = masked.fill_in_the_middle
    if masked.HasField("fill_in_the_middle"):
        cursor.prefix, cursor.suffix = mask(cursor.prefix, found), mask(cursor.suffix, found)
    if masked.HasField("chat"):
        masked.chat.tools_json = _masked_json(masked.chat.tools_json, found)
        for message in masked.chat.messages:
            _mask_message(message, found)
    return masked


def masked_texts(request: pb.EmbedRequest, found: Counter[str]) -> pb.EmbedRequest:
    """As `masked_prompt`."""
    if request.token_ids:
        masked_prompt(pb.Prompt(tokens=request.token_ids[0]), found)
    return pb.EmbedRequest(
        context=request.context, texts=[mask(text, found) for text in request.texts]
    )


def _mask_message(message: pb.ChatMessage, found: Counter[str]) -> None:
    message.content = mask(message.content, found)
    message.reasoning = mask(message.reasoning, found)
    for part in message.parts:
        if part.HasField("text"):
            part.text = mask(part.text, found)
    for call in message.tool_calls:
        call.arguments = _masked_json(call.arguments, found)


def _masked_json(text: str, found: Counter[str]) -> str:
    """JSON stays JSON: each string is masked by itself too, its escapes read.

    Raises BadRequest for what is nested too deeply to be looked through.
    """
    own: Counter[str] = Counter()
    masked = mask(text, own)
    if not _is_json(text):
        found.update(own)
        return masked
    if not _is_json(masked):  # a secret ended within an escape
        own, masked = Counter(), text
    if "\\" in masked:
        within: Counter[str] = Counter()
        try:
            value = _masked_value(json.loads(masked), within)
        except RecursionError:
            raise BadRequest(
                "A schema, or arguments of a call, are nested too deeply for secrets to be masked"
                " in them."
            ) from None
        if within:
            masked = json.dumps(value)
            own.update(within)
    found.update(own)
    return masked


def _masked_value(value: Any, found: Counter[str]) -> Any:
    if isinstance(value, str):
        return mask(value, found)
    if isinstance(value, list):
        return [_masked_value(each, found) for each in value]
    if isinstance(value, dict):
        return {name: _masked_value(each, found) for name, each in value.items()}
    return value


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
