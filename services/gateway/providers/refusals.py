"""What a provider's refusal means to whoever asked Hearth. The key is in none of its words."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import httpx

from services.cluster.errors import (
    BadRequest,
    EngineUnavailable,
    HearthError,
    ModelNotFound,
    Overloaded,
    PayloadTooLarge,
)
from services.cluster.provider_records import ProviderRecord

_MAX_CHARS = 500
_KEY_PART_CHARS = 6
_RETRY_SECONDS = 5.0
_MAX_RETRY_SECONDS = 3600.0


def refused(
    provider: ProviderRecord, status: int, headers: Mapping[str, str], key: str, body: bytes
) -> HearthError:
    """The error of an answer that is not 200."""
    name = provider.provider_id
    said = f"{name} answers: {without_key(_said(body), key)}"
    if status in (401, 403):
        # What is said here may hold a part of the key.
        return EngineUnavailable(
            f"{name} refuses the key that Hearth has for it, or what it may do; an administrator"
            " can set another on the page Providers.",
            retry_after_seconds=60,
        )
    if status == 404:
        return ModelNotFound(said, param="model")
    if status == 413:
        return PayloadTooLarge(said)
    if status in (402, 429):
        return Overloaded(said, retry_after_seconds=_retry_seconds(headers))
    if 400 <= status < 500 and status not in (408, 409, 425):
        return BadRequest(said)
    if 300 <= status < 400:
        return EngineUnavailable(
            f"{name} sends on to another address, which Hearth does not follow with a key; an"
            " administrator can set the right one on the page Providers."
        )
    return EngineUnavailable(said, retry_after_seconds=_retry_seconds(headers))


def silent(provider: ProviderRecord, seconds: float) -> HearthError:
    """While its breaker is open."""
    return EngineUnavailable(
        f"{provider.provider_id} gave no answer just now; it is asked again in"
        f" {max(1, math.ceil(seconds))} s.",
        retry_after_seconds=seconds,
    )


def unreachable(provider: ProviderRecord, error: httpx.HTTPError) -> HearthError:
    if isinstance(error, httpx.PoolTimeout):
        return Overloaded(f"Too many requests to {provider.provider_id} are open; ask again soon.")
    if isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
        return EngineUnavailable(f"{provider.provider_id} broke off its answer. Ask again.")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return EngineUnavailable(
            f"{provider.provider_id} shows a certificate that Hearth does not trust; whoever runs"
            " Hearth can name the authority's in HEARTH_CA_BUNDLE.",
            retry_after_seconds=_RETRY_SECONDS,
        )
    return EngineUnavailable(
        f"{provider.provider_id} cannot be reached ({type(error).__name__}).",
        retry_after_seconds=_RETRY_SECONDS,
    )


def without_key(text: str, key: str) -> str:
    """Also without its ends, which some providers repeat with stars between them."""
    size = min(_KEY_PART_CHARS, len(key))
    parts = {key[at : at + size] for at in range(len(key) - size + 1)} - {""}

    def has_part(word: str) -> bool:
        return any(word[at : at + size] in parts for at in range(len(word) - size + 1))

    return " ".join("[key]" if has_part(word) else word for word in text.split(" "))


def _said(body: bytes) -> str:
    """A provider's own sentence: `error.message`, `message` or `detail`; else its first words."""
    text = body.decode(errors="replace")
    try:
        found = _message(json.loads(text))
    except (ValueError, RecursionError):
        found = ""
    words = " ".join((found or text)[: 4 * _MAX_CHARS].split())
    return words[:_MAX_CHARS].rstrip(".") + "." if words else "nothing that can be read."


def _message(value: Any) -> str:
    while isinstance(value, dict):
        value = next((value[n] for n in ("error", "message", "detail") if value.get(n)), "")
    return value if isinstance(value, str) else json.dumps(value)


def _retry_seconds(headers: Mapping[str, str]) -> float:
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return _RETRY_SECONDS
    return min(max(seconds, 1.0), _MAX_RETRY_SECONDS) if math.isfinite(seconds) else _RETRY_SECONDS
