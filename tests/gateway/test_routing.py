"""Which model, adapter and replica answer: names as designed, replicas by load and prefix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from services.gateway.routing import Use, choose, offers, resolve

BASE = "org/base"


def deployment(
    model: str = BASE,
    *,
    policy: AdapterPolicy = AdapterPolicy.LATEST_BEST,
    named: str = "",
    team_id: str = "",
    created_at: float = 1.0,
) -> DeploymentRecord:
    return DeploymentRecord(
        deployment_id=f"of-{model}-{team_id}",
        model=model,
        adapter_policy=policy,
        default_adapter_id=named,
        team_id=team_id,
        created_at=created_at,
        updated_at=created_at,
    )


def replica(
    of: DeploymentRecord,
    replica_id: str = "r1",
    *,
    loaded: tuple[str, ...] = (),
    phase: ReplicaPhase = ReplicaPhase.READY,
    chat: bool = True,
    embedding_size: int = 0,
) -> ReplicaRecord:
    return ReplicaRecord(
        replica_id=replica_id,
        deployment_id=of.deployment_id,
        model=of.model,
        engine="vllm",
        host_id="here",
        phase=phase,
        loaded_adapter_ids=loaded,
        supports_chat=chat,
        embedding_size=embedding_size,
        started_at=1.0,
    )


def adapter(
    adapter_id: str, *, better: bool | None = True, created_at: float = 1.0, team_id: str = ""
) -> AdapterRecord:
    return AdapterRecord(
        adapter_id=adapter_id,
        model=BASE,
        name=adapter_id.rstrip("0123456789-"),
        team_id=team_id,
        rank=8,
        created_at=created_at,
        better_than_base=better,
    )


def view(
    deployments: Iterable[DeploymentRecord],
    replicas: Iterable[ReplicaRecord],
    adapters: Iterable[AdapterRecord] = (),
) -> ClusterView:
    return ClusterView(
        deployments={record.deployment_id: record for record in deployments},
        replicas={record.replica_id: record for record in replicas},
        adapters={record.adapter_id: record for record in adapters},
    )


def test_a_base_is_the_base_also_when_adapters_are_there() -> None:
    of = deployment()
    cluster = view([of], [replica(of, loaded=("a1",))], [adapter("a1")])
    assert resolve(cluster, BASE).name == BASE
    assert resolve(cluster, f"{BASE}:a1").name == f"{BASE}:a1"


@pytest.mark.parametrize("requested", ["", "auto", f"{BASE}:auto", "CONTRASTcode"])
def test_auto_takes_the_newest_that_is_better(requested: str) -> None:
    of = deployment()
    adapters = [
        adapter("old", created_at=1),
        adapter("best", created_at=2),
        adapter("worse", better=False, created_at=3),
        adapter("unjudged", better=None, created_at=4),
    ]
    loaded = tuple(record.adapter_id for record in adapters)
    cluster = view([of], [replica(of, loaded=loaded)], adapters)
    assert resolve(cluster, requested).name == f"{BASE}:best"


def test_auto_passes_over_what_no_replica_has_loaded() -> None:
    of = deployment()
    adapters = [adapter("old", created_at=1), adapter("new", created_at=2)]
    assert resolve(view([of], [replica(of, loaded=("old",))], adapters), "").adapter_id == "old"
    assert resolve(view([of], [replica(of)], adapters), "").name == BASE


def test_auto_follows_the_deployments_policy() -> None:
    adapters = [adapter("a", created_at=2), adapter("b", better=None, created_at=1)]
    off = deployment(policy=AdapterPolicy.OFF)
    assert resolve(view([off], [replica(off, loaded=("a", "b"))], adapters), "").name == BASE
    named = deployment(policy=AdapterPolicy.NAMED, named="b")
    cluster = view([named], [replica(named, loaded=("a", "b"))], adapters)
    assert resolve(cluster, "").adapter_id == "b"


def test_a_name_means_the_newest_of_that_name_that_is_loaded() -> None:
    of = deployment()
    adapters = [adapter("mine-1", created_at=1), adapter("mine-2", created_at=2)]
    cluster = view([of], [replica(of, loaded=("mine-1",))], adapters)
    assert resolve(cluster, f"{BASE}:mine").adapter_id == "mine-1"


def test_only_replicas_that_have_the_adapter_answer_for_it() -> None:
    of = deployment()
    replicas = [replica(of, "r1", loaded=("a",)), replica(of, "r2")]
    cluster = view([of], replicas, [adapter("a")])
    assert [r.replica_id for r in resolve(cluster, f"{BASE}:a").replicas] == ["r1"]
    assert [r.replica_id for r in resolve(cluster, BASE).replicas] == ["r1", "r2"]


def test_what_is_not_there_is_told() -> None:
    of = deployment()
    cluster = view([of], [replica(of)], [adapter("a")])
    with pytest.raises(ModelNotFound, match=f"other/model.*{BASE}"):
        resolve(cluster, "other/model")
    with pytest.raises(ModelNotFound):
        resolve(cluster, f"{BASE}:nothing")
    with pytest.raises(AdapterNotLoaded):
        resolve(cluster, f"{BASE}:a")
    with pytest.raises(EngineUnavailable, match="starting"):
        resolve(view([of], [replica(of, phase=ReplicaPhase.STARTING)]), BASE)
    with pytest.raises(EngineUnavailable, match="No model is deployed"):
        resolve(view([], []), "")


def test_another_teams_model_and_adapter_are_not_there() -> None:
    theirs, ours = deployment("org/theirs", team_id="them"), deployment()
    cluster = view(
        [theirs, ours],
        [replica(theirs, "r1"), replica(ours, "r2", loaded=("secret",))],
        [adapter("secret", team_id="them")],
    )
    for requested in ("org/theirs", f"{BASE}:secret"):
        with pytest.raises(ModelNotFound):
            resolve(cluster, requested, "us")
    assert resolve(cluster, "", "us").name == BASE
    assert resolve(cluster, f"{BASE}:secret", "them").adapter_id == "secret"
    assert [offer.base.name for offer in offers(cluster, "us")] == [BASE]
    assert offers(cluster, "us")[0].adapters == ()


def test_no_model_means_the_oldest_deployment_that_can() -> None:
    first = deployment("org/embeds", created_at=1)
    second = deployment("org/completes", created_at=2)
    third = deployment("org/chats", created_at=3)
    cluster = view(
        [third, second, first],
        [
            replica(first, "r1", chat=False, embedding_size=384),
            replica(second, "r2", chat=False),
            replica(third, "r3"),
        ],
    )
    assert resolve(cluster, "").model == "org/completes"
    assert resolve(cluster, "", use=Use.CHAT).model == "org/chats"
    assert resolve(cluster, "", use=Use.EMBEDDING).model == "org/embeds"


@pytest.mark.parametrize(
    ("requested", "use", "words"),
    [
        ("org/embeds", Use.COMPLETION, "generates text; these are: org/completes"),
        ("org/embeds", Use.CHAT, "generates text; these are: org/completes"),
        ("org/completes", Use.EMBEDDING, "makes embeddings; these are: org/embeds"),
    ],
)
def test_a_model_of_another_use_is_refused_with_those_that_are_not(
    requested: str, use: Use, words: str
) -> None:
    embeds, completes = deployment("org/embeds"), deployment("org/completes")
    cluster = view(
        [embeds, completes], [replica(embeds, "r1", embedding_size=384), replica(completes, "r2")]
    )
    with pytest.raises(BadRequest, match=words) as refused:
        resolve(cluster, requested, use=use)
    assert refused.value.param == "model"


def test_what_is_not_deployed_at_all_is_not_waited_for() -> None:
    completes = deployment("org/completes")
    generates = ModelRecord(name="org/completes", origin="hub", local_path="", architecture="x")
    cluster = replace(view([completes], [replica(completes)]), models={generates.name: generates})
    with pytest.raises(ModelNotFound, match="No model that makes embeddings is deployed"):
        resolve(cluster, "", use=Use.EMBEDDING)


def test_a_model_of_embeddings_that_is_loading_is_waited_for() -> None:
    completes, embeds = deployment("org/completes"), deployment("org/embeds")
    cluster = view([completes, embeds], [replica(completes)])
    with pytest.raises(EngineUnavailable):
        resolve(cluster, "", use=Use.EMBEDDING)


def test_the_least_busy_replica_is_chosen() -> None:
    of = deployment()
    replicas = [replica(of, "r1"), replica(of, "r2"), replica(of, "r3")]
    assert choose(replicas, {"r1": 2, "r2": 0, "r3": 1}, b"short").replica_id == "r2"


@given(st.binary(min_size=64, max_size=200))
def test_a_prefix_stays_where_it_is_until_that_is_busy(key: bytes) -> None:
    of = deployment()
    replicas = [replica(of, f"r{number}") for number in range(4)]
    home = choose(replicas, {}, key)
    assert choose(list(reversed(replicas)), {home.replica_id: 4}, key) == home
    assert choose(replicas, {home.replica_id: 5}, key) != home


def test_prefixes_spread_over_the_replicas() -> None:
    of = deployment()
    replicas = [replica(of, f"r{number}") for number in range(4)]
    counts = Counter(
        choose(replicas, {}, f"{number}".encode() * 32).replica_id for number in range(64, 464)
    )
    assert min(counts.values()) > 50
