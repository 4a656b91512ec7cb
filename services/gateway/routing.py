"""Which model and adapter answer a request, and on which replica. Pure: a view in, a choice out.

`MODEL` is the base, `MODEL:ADAPTER` that adapter, and `MODEL:auto` or no model at all is what the
deployment chose: off, its latest adapter that is better than the base, or a named one. An adapter
that no replica has loaded is passed over, down to the base. Models of servers elsewhere have no
adapters; one that leaves the site answers only whoever names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.cluster.errors import (
    AdapterNotLoaded,
    BadRequest,
    EngineUnavailable,
    ModelNotFound,
)
from services.cluster.records import (
    AdapterPolicy,
    AdapterRecord,
    DeploymentRecord,
    ModelRecord,
    ReplicaPhase,
    ReplicaRecord,
)
from services.cluster.registry import ClusterView
from services.gateway.loading import not_ready
from services.gateway.speakers import RemoteModel, Speaker

AUTO = "auto"
# What plugins of 2023 send for "whatever there is".
_NO_MODEL = frozenset({"", "CONTRASTcode", AUTO})
# Requests that a replica may be ahead of the least busy one and still keep its prompts' prefixes.
_AFFINITY_SLACK = 4
_MIN_KEY_BYTES = 64
_START_SECONDS = 5.0
_MAX_NAMES = 20  # in a sentence


class Use(StrEnum):
    """What a request wants of a model."""

    COMPLETION = "completion"
    CHAT = "chat"
    EMBEDDING = "embedding"

    def is_served_by(self, speaker: Speaker) -> bool:
        return (self is Use.EMBEDDING) == (speaker.embedding_size > 0)

    def may_be_served_by(self, model: ModelRecord) -> bool:
        return model.supports_embeddings if self is Use.EMBEDDING else model.supports_completion

    @property
    def deed(self) -> str:
        return "makes embeddings" if self is Use.EMBEDDING else "generates text"


@dataclass(frozen=True)
class Target:
    """What speaks: replicas, with an adapter or ("") the base, or a server elsewhere."""

    model: str
    adapter_id: str
    replicas: tuple[ReplicaRecord, ...]
    remote: RemoteModel | None = None

    @property
    def speaker(self) -> Speaker:
        return self.remote or self.replicas[0]

    @property
    def leaves_site(self) -> bool:
        return self.remote is not None and self.remote.provider.kind.leaves_site

    @property
    def name(self) -> str:
        return f"{self.model}:{self.adapter_id}" if self.adapter_id else self.model


@dataclass(frozen=True)
class Offer:
    """A model that answers now, as a client is told of it. `auto` is what `MODEL:auto` means."""

    base: Target
    auto: Target
    adapters: tuple[tuple[AdapterRecord, Target], ...]

    @property
    def speaker(self) -> Speaker:
        return self.base.speaker

    @property
    def leaves_site(self) -> bool:
        return self.base.leaves_site


def resolve(
    view: ClusterView, requested: str, team_id: str = "", use: Use = Use.COMPLETION
) -> Target:
    """The target of a request that names `requested`, "" for no name.

    Raises ModelNotFound, AdapterNotLoaded, BadRequest for a model that is of another use, or
    EngineUnavailable while no replica is ready.
    """
    target = _named(view, requested, team_id, use)
    if not use.is_served_by(target.speaker):
        raise BadRequest(_of_another_use(view, target.model, team_id, use), param="model")
    return target


def _named(view: ClusterView, requested: str, team_id: str, use: Use) -> Target:
    name = requested.strip()
    model, _, adapter = name.partition(":")
    if model in _NO_MODEL:
        return _default(view, team_id, use)
    if not any(deployment.model == model for deployment in _deployments(view, team_id)):
        elsewhere = {target.name: target for target in _elsewhere(view, team_id)}
        found = elsewhere.get(name) or elsewhere.get(name.removesuffix(f":{AUTO}"))
        if found is None:
            raise ModelNotFound(_unknown(view, requested, team_id), param="model")
        return found
    base = Target(model, "", _ready(view, model, team_id))
    if not base.replicas:
        raise _not_ready(view, model, team_id)
    if not adapter:
        return base
    if adapter == AUTO:
        return _auto(view, model, team_id)
    return _with_adapter(view, base, adapter, team_id)


def offers(view: ClusterView, team_id: str = "") -> list[Offer]:
    """Every model that answers, the default one first; those that leave the site come last."""
    models = dict.fromkeys(deployment.model for deployment in _deployments(view, team_id))
    found = []
    for model in models:
        replicas = _ready(view, model, team_id)
        if not replicas:
            continue
        base = Target(model, "", replicas)
        adapters = tuple(
            (record, target)
            for record in _adapters(view, model, team_id)
            if (target := _loaded(base, record)).replicas
        )
        found.append(Offer(base, _auto(view, model, team_id), adapters))
    return [*found, *(Offer(t, t, ()) for t in _elsewhere(view, team_id) if t.model not in models)]


def choose(
    replicas: Sequence[ReplicaRecord], outstanding: Mapping[str, int], key: bytes
) -> ReplicaRecord:
    """The replica with the least outstanding work; among those nearly as free, always the same one
    for the same beginning of a prompt, because it has that in its prefix cache.

    `outstanding` counts requests by replica_id, `key` is the prompt's first bytes.
    """

    def load(replica: ReplicaRecord) -> tuple[int, int, str]:
        return outstanding.get(replica.replica_id, 0), replica.num_waiting, replica.replica_id

    if len(key) < _MIN_KEY_BYTES:
        return min(replicas, key=load)
    most = min(load(replica)[0] for replica in replicas) + _AFFINITY_SLACK
    free = [replica for replica in replicas if load(replica)[0] <= most]
    return max(free, key=lambda replica: _rendezvous(key, replica.replica_id))


def _rendezvous(key: bytes, replica_id: str) -> bytes:
    return hashlib.blake2b(key, digest_size=8, key=replica_id.encode()[:64]).digest()


def _visible(record: DeploymentRecord | AdapterRecord, team_id: str) -> bool:
    return record.team_id in ("", team_id)


def _deployments(view: ClusterView, team_id: str) -> list[DeploymentRecord]:
    """Oldest first: the first is the default."""
    mine = [record for record in view.deployments.values() if _visible(record, team_id)]
    return sorted(mine, key=lambda record: (record.created_at, record.deployment_id))


def _ready(view: ClusterView, model: str, team_id: str) -> tuple[ReplicaRecord, ...]:
    mine = {record.deployment_id for record in _deployments(view, team_id)}
    return tuple(
        replica
        for replica in view.replicas.values()
        if replica.model == model
        and replica.deployment_id in mine
        and replica.phase is ReplicaPhase.READY
    )


def _elsewhere(view: ClusterView, team_id: str) -> list[Target]:
    """Models of other servers, the site's own first, then by age."""
    providers = sorted(
        (provider for provider in view.providers.values() if provider.is_for(team_id)),
        key=lambda p: (p.kind.leaves_site, p.created_at, p.provider_id),
    )
    remotes = [RemoteModel(provider, model) for provider in providers for model in provider.models]
    return [Target(remote.model, "", (), remote) for remote in remotes]


def _default(view: ClusterView, team_id: str, use: Use) -> Target:
    """Of a request without a model. For a chat: one that has a chat template, if there is any."""
    found = [offer.auto for offer in offers(view, team_id) if not offer.leaves_site]
    served = [target for target in found if use.is_served_by(target.speaker)]
    if use is Use.CHAT:
        served.sort(key=lambda target: not target.speaker.supports_chat)
    if served:
        return served[0]
    deployments = _deployments(view, team_id)
    for deployment in deployments:
        record = view.models.get(deployment.model)
        if record is None or use.may_be_served_by(record):
            raise _not_ready(view, deployment.model, team_id)
    if deployments or found:
        raise ModelNotFound(f"No model that {use.deed} is deployed.", param="model")
    raise EngineUnavailable("No model is deployed yet.", retry_after_seconds=_START_SECONDS)


def _auto(view: ClusterView, model: str, team_id: str) -> Target:
    base = Target(model, "", _ready(view, model, team_id))
    if not base.replicas:
        raise _not_ready(view, model, team_id)
    for record in _wanted(view, model, team_id):
        target = _loaded(base, record)
        if target.replicas:
            return target
    return base


def _wanted(view: ClusterView, model: str, team_id: str) -> Iterator[AdapterRecord]:
    """Adapters that the model's deployments choose by themselves, the first choice first."""
    adapters = _adapters(view, model, team_id)
    for deployment in _deployments(view, team_id):
        if deployment.model != model:
            continue
        if deployment.adapter_policy is AdapterPolicy.NAMED:
            yield from (a for a in adapters if a.adapter_id == deployment.default_adapter_id)
        elif deployment.adapter_policy is AdapterPolicy.LATEST_BEST:
            yield from (a for a in adapters if a.better_than_base)


def _adapters(view: ClusterView, model: str, team_id: str) -> list[AdapterRecord]:
    """Newest first."""
    mine = [a for a in view.adapters.values() if a.model == model and _visible(a, team_id)]
    return sorted(mine, key=lambda a: (-a.created_at, a.adapter_id))


def _loaded(base: Target, record: AdapterRecord) -> Target:
    return Target(
        base.model,
        record.adapter_id,
        tuple(r for r in base.replicas if record.adapter_id in r.loaded_adapter_ids),
    )


def _with_adapter(view: ClusterView, base: Target, adapter: str, team_id: str) -> Target:
    """By id, or by name: then the newest of that name."""
    adapters = _adapters(view, base.model, team_id)
    matching = [a for a in adapters if a.adapter_id == adapter] or [
        a for a in adapters if a.name == adapter
    ]
    if not matching:
        raise ModelNotFound(_unknown(view, f"{base.model}:{adapter}", team_id), param="model")
    for record in matching:
        target = _loaded(base, record)
        if target.replicas:
            return target
    raise AdapterNotLoaded(
        f"No replica of {base.model} has the adapter {adapter} loaded; add it to a deployment.",
        param="model",
    )


def _unknown(view: ClusterView, requested: str, team_id: str) -> str:
    names = [
        target.name
        for offer in offers(view, team_id)
        for target in (offer.base, *(target for _, target in offer.adapters))
    ]
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    known = f"has: {', '.join(names[:_MAX_NAMES]) or 'none yet'}{more}"
    if not names and (deployments := _deployments(view, team_id)):
        known = f"is starting: {', '.join(dict.fromkeys(d.model for d in deployments))}"
    return f"There is no model {requested[:200]!r}. This server {known}."


def _of_another_use(view: ClusterView, model: str, team_id: str, use: Use) -> str:
    others = [offer.base.name for offer in offers(view, team_id) if use.is_served_by(offer.speaker)]
    known = f"these are: {', '.join(others)}" if others else "none is deployed"
    return f"{model} is no model that {use.deed}; {known}."


def _not_ready(view: ClusterView, model: str, team_id: str) -> EngineUnavailable:
    mine = [record for record in _deployments(view, team_id) if record.model == model]
    return not_ready(mine, view.replicas.values())
