"""Ids of completions that say what spoke, so that any gateway can count what became of one."""

from __future__ import annotations

import re
import secrets

from services.cluster.registry import ClusterView
from services.gateway.routing import Target

_ID = re.compile(r"cmpl-[0-9a-f]{24}-([^:]+)(?::(.+))?")


def completion_id(target: Target) -> str:
    return f"cmpl-{secrets.token_hex(12)}-{target.name}"


def speaker(view: ClusterView, given: str) -> tuple[str, str]:
    """Model and adapter that answered; both "" for an id of another server, or of what is gone.

    An id comes from a client: only names that the cluster knows are believed.
    """
    found = _ID.fullmatch(given)
    if found is None:
        return "", ""
    model, adapter_id = found[1], found[2] or ""
    if not any(deployment.model == model for deployment in view.deployments.values()):
        return "", ""
    if adapter_id:
        adapter = view.adapters.get(adapter_id)
        if adapter is None or adapter.model != model:
            return "", ""
    return model, adapter_id
