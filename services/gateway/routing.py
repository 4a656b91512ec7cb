"""Which model and adapter answer a request, and on which replica. Pure: a view in, a choice out.

`MODEL` is the base, `MODEL:ADAPTER` that adapter, and `MODEL:auto` or no model at all is what the
deployment chose: off, its latest adapter that is better than the base, or a named one. An adapter
that no replica has loaded is passed over, down to the base.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
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

AUTO = "auto"
# What plugins of 2023 send for "whatever there is".
_NO_MODEL = frozenset({"", "CONTRASTcode", AUTO})
# Requests that a replica may be ahead of the least busy one and still keep its prompts' prefixes.
_AFFINITY_SLACK = 4
_MIN_KEY_BYTES = 64
_START_SECONDS = 5.0


class Use(StrEnum):
    """What a request wants of a model."""

    COMPLETION = "completion"
    CHAT = "chat"
    EMBEDDING = "embedding"

    def is_served_by(self, replica: ReplicaRecord) -> bool:
        return (self is Use.EMBEDDING) == (replica.embedding_size > 0)

    def may_be_served_by(self, model: ModelRecord) -> bool:
        return model.supports_embeddings if self is Use.EMBEDDING else model.supports_completion

    @property
    def deed(self) -> str:
        return "makes embeddings" if self is Use.EMBEDDING else "generates text"


@dataclass(frozen=True)
class Target:
    """What speaks. `adapter_id` "" is the base."""

    model: str
    adapter_id: str
    replicas: tuple[ReplicaRecord, ...]

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
    def replica(self) -> ReplicaRecord:
        return self.base.replicas[0]


def resolve(
    view: ClusterView, requested: str, team_id: str = "", use: Use = Use.COMPLETION
) -> Target:
    """The target of a request that names `requested`, "" for no name.

    Raises ModelNotFound, AdapterNotLoaded, BadRequest for a model that is of another use, or
    EngineUnavailable while no replica is ready.
    """
    target = _named(view, requested, team_id, use)
    if not use.is_served_by(target.replicas[0]):
        raise BadRequest(_of_another_use(view, target.model, team_id, use), param="model")
    return target


def _named(view: ClusterView, requested: str, team_id: str, use: Use) -> Target:
    model, _, adapter = requested.strip().partition(":")
    if model in _NO_MODEL:
        return _auto(view, _default_model(view, team_id, use), team_id)
    if not any(deployment.model == model for deployment in _deployments(view, team_id)):
        raise ModelNotFound(_unknown(view, requested, team_id), param="model")
    base = Target(model, "", _ready(view, model, team_id))
    if not base.replicas:
        raise _not_ready(view, model, team_id)
    if not adapter:
        return base
    if adapter == AUTO:
        return _auto(view, model, team_id)
    return _with_adapter(view, base, adapter, team_id)


def offers(view: ClusterView, team_id: str = "") -> list[Offer]:
    """Every model that a ready replica answers for, the default one first."""
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
    return found


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


def _default_model(view: ClusterView, team_id: str, use: Use) -> str:
    deployments = _deployments(view, team_id)
    wants: list[Callable[[ReplicaRecord], bool]] = [use.is_served_by]
    if use is Use.CHAT:
        wants.insert(0, lambda replica: replica.supports_chat)
    for wanted in wants:
        for deployment in deployments:
            if any(wanted(replica) for replica in _ready(view, deployment.model, team_id)):
                return deployment.model
    if not deployments:
        raise EngineUnavailable("No model is deployed yet.", retry_after_seconds=_START_SECONDS)
    for deployment in deployments:
        record = view.models.get(deployment.model)
        if record is None or use.may_be_served_by(record):
            raise _not_ready(view, deployment.model, team_id)
    raise ModelNotFound(f"No model that {use.deed} is deployed.", param="model")


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
    known = f"has: {', '.join(names) or 'none yet'}"
    if not names and (deployments := _deployments(view, team_id)):
        known = f"is starting: {', '.join(dict.fromkeys(d.model for d in deployments))}"
    return f"There is no model {requested[:200]!r}. This server {known}."


def _of_another_use(view: ClusterView, model: str, team_id: str, use: Use) -> str:
    others = [offer.base.name for offer in offers(view, team_id) if use.is_served_by(offer.replica)]
    known = f"these are: {', '.join(others)}" if others else "none is deployed"
    return f"{model} is no model that {use.deed}; {known}."


def _not_ready(view: ClusterView, model: str, team_id: str) -> EngineUnavailable:
    mine = [record for record in _deployments(view, team_id) if record.model == model]
    return not_ready(mine, view.replicas.values())
