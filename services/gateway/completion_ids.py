"""Ids of completions that say what spoke, so that any gateway can count what became of one."""

from __future__ import annotations

import re
import secrets

from services.cluster.registry import ClusterView
from services.gateway.reported_names import known
from services.gateway.routing import Target

_ID = re.compile(r"cmpl-[0-9a-f]{24}-(.+)")


def completion_id(target: Target) -> str:
    return f"cmpl-{secrets.token_hex(12)}-{target.name}"


def speaker(view: ClusterView, given: str) -> tuple[str, str]:
    """Model and adapter that answered; both "" for an id of another server, or of what is gone."""
    found = _ID.fullmatch(given)
    return known(view, found[1]) if found else ("", "")
