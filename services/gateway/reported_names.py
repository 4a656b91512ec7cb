"""Names that a client reports, held against what this server has: only those become labels."""

from __future__ import annotations

from services.cluster.registry import ClusterView
from services.gateway.refact_caps import CLOUD_NAME

# Agents from 0.10.15 on put the cloud's name before a model's.
_CLOUD = f"{CLOUD_NAME.lower()}/"


def known(view: ClusterView, name: str, team_id: str | None = None) -> tuple[str, str]:
    """Model and adapter of MODEL or MODEL:ADAPTER; both "" for what is not here, or not the team's.

    Without a team, of all teams.
    """
    elsewhere = {
        provider.model_name(model)
        for provider in view.providers.values()
        if team_id is None or provider.is_for(team_id)
        for model in provider.models
    }
    if name in elsewhere:
        return name, ""
    model, colon, adapter_id = name.partition(":")
    teams = ("", team_id)
    if not any(
        record.model == model and (team_id is None or record.team_id in teams)
        for record in view.deployments.values()
    ):
        return "", ""
    if not colon:
        return model, ""
    adapter = view.adapters.get(adapter_id)
    if adapter is None or adapter.model != model:
        return "", ""
    return (model, adapter_id) if team_id is None or adapter.team_id in teams else ("", "")


def known_to_refact(view: ClusterView, name: str, team_id: str) -> tuple[str, str]:
    """The same of a name as Refact's agent reports it: `hearth/MODEL+ast` is MODEL."""
    bare = name.partition("+")[0]
    for candidate in dict.fromkeys((name, bare, bare.removeprefix(_CLOUD))):
        found = known(view, candidate, team_id)
        if found[0]:
            return found
    return "", ""
