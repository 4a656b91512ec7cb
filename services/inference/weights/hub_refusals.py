"""What a hub's refusal means, as a sentence for the administrator. A pure function."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from services.cluster.errors import Conflict, HearthError, NotFound, Overloaded, Unavailable

_BAD_TOKEN = "invalid credentials in authorization header"
_MAX_REASON_CHARS = 200
_LATER = frozenset({408, 425, 429})
_RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class Asked:
    """`revision` is "" for the default one."""

    url: str
    hub_id: str
    revision: str
    has_token: bool


def refusal(asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> HearthError:
    """`headers` are found in any case. Overloaded and Unavailable may be repeated."""
    code = headers.get("x-error-code", "")
    reason = headers.get("x-error-message", "") or _reason_in(body)
    if status in _LATER:
        return Overloaded(
            f"{asked.url} asks for fewer requests (HTTP {status}).",
            retry_after_seconds=_seconds(headers.get("retry-after", "")),
        )
    if status >= 500:
        return Unavailable(
            f"{asked.url} answers with HTTP {status}; it may be overloaded.",
            retry_after_seconds=_seconds(headers.get("retry-after", "")) or _RETRY_SECONDS,
        )
    if code == "GatedRepo" or (status in (401, 403) and "gated" in reason.lower()):
        return _gated(asked)
    if code == "RevisionNotFound":
        return NotFound(
            f"{asked.hub_id} has no revision {asked.revision}: name a branch, a tag or a commit.",
            param="revision",
        )
    if code == "EntryNotFound":
        return NotFound(f"A file of {asked.hub_id} is no longer on {asked.url}.")
    if status == 401 and reason.lower() == _BAD_TOKEN:
        return Conflict(f"{asked.url} does not know the token of HEARTH_HUB_TOKEN; make a new one.")
    if status in (401, 404):  # a hub does not say to strangers what is private
        return NotFound(
            f"There is no model {asked.hub_id} on {asked.url}, or it is private and"
            f" {_seen_by(asked)}.",
            param="hub_id",
        )
    return Conflict(f"{asked.url} refuses {asked.hub_id} (HTTP {status}): {reason or 'no reason'}.")


def _gated(asked: Asked) -> Conflict:
    page = f"{asked.url}/{asked.hub_id}"
    if asked.has_token:
        return Conflict(
            f"{asked.hub_id} is gated, and the account of HEARTH_HUB_TOKEN may not read it: accept"
            f" its terms on {page} with that account, then try again.",
            param="hub_id",
        )
    return Conflict(
        f"{asked.hub_id} is gated: accept its terms on {page}, then set HEARTH_HUB_TOKEN to a token"
        " of the account that did.",
        param="hub_id",
    )


def _seen_by(asked: Asked) -> str:
    if asked.has_token:
        return "the account of HEARTH_HUB_TOKEN does not see it"
    return "HEARTH_HUB_TOKEN is not set"


def _reason_in(body: bytes) -> str:
    with contextlib.suppress(ValueError):
        answer = json.loads(body)
        if isinstance(answer, dict) and isinstance(answer.get("error"), str):
            return str(answer["error"])[:_MAX_REASON_CHARS].rstrip(".")
    return ""


def _seconds(text: str) -> float | None:
    return float(text) if text.isdecimal() and len(text) < 6 else None
