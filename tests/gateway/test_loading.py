"""A model that loads says so at once, and how far it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cluster.records import DeploymentPhase, ReplicaPhase, ReplicaRecord
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.gateway.loading import not_ready
from tests.gateway.conftest import MODEL, deployment, gateway_settings, serving

SENTENCE = f"Weights of {MODEL} are being downloaded: 2.9 of 7.2 GB, about 4 minutes left."


def replica(phase: ReplicaPhase, replica_id: str = "d1-0", **changes: Any) -> ReplicaRecord:
    return ReplicaRecord(
        replica_id=replica_id,
        deployment_id="d1",
        model=MODEL,
        engine="echo",
        host_id="here",
        phase=phase,
        started_at=1.0,
        **changes,
    )


def downloading(percent: float, remaining_seconds: float | None = None) -> ReplicaRecord:
    return replica(
        ReplicaPhase.DOWNLOADING,
        detail=SENTENCE,
        present_bytes=int(percent * 10),
        total_bytes=1000,
        remaining_seconds=remaining_seconds,
    )


def test_a_download_says_its_share_and_when_to_look_again() -> None:
    told = not_ready([deployment()], [downloading(41.0, 240.0)])
    assert f"{MODEL} is downloading (41 %)" in told.message
    assert SENTENCE in told.message
    assert told.progress["percent"] == 41.0
    assert told.progress["remaining_seconds"] == 240.0
    assert told.retry_after_seconds == 30
    assert not_ready([deployment()], [downloading(99, 12.0)]).retry_after_seconds == 12


@pytest.mark.parametrize("phase", [ReplicaPhase.STARTING, ReplicaPhase.WARMING])
def test_the_furthest_replica_is_told_of_first(phase: ReplicaPhase) -> None:
    detail = "reading the weights"
    records = [downloading(41.0), replica(phase, "d1-1", detail=detail)]
    told = not_ready([deployment()], records)
    assert f"{MODEL} is {phase}; " in told.message
    assert detail in told.message
    assert told.progress["percent"] is None
    replicas = told.progress["replicas"]
    assert isinstance(replicas, list)
    assert [r["phase"] for r in replicas] == [phase, "downloading"]


def test_what_a_deployment_waits_for_is_told() -> None:
    wanted = deployment().model_copy(
        update={"phase": DeploymentPhase.PENDING, "detail": "It needs 24 GiB; 8 GiB are free."}
    )
    told = not_ready([wanted], [])
    assert "pending" in told.message
    assert "8 GiB are free" in told.message
    assert told.progress == {
        "phase": "pending",
        "percent": None,
        "remaining_seconds": None,
        "detail": wanted.detail,
        "replicas": [],
    }


@given(
    st.lists(
        st.builds(
            replica,
            st.sampled_from([phase for phase in ReplicaPhase if phase is not ReplicaPhase.READY]),
            present_bytes=st.integers(0, 2**50),
            total_bytes=st.integers(0, 2**50),
            remaining_seconds=st.none() | st.floats(0, 1e9),
        ),
        max_size=5,
    )
)
def test_whatever_replicas_say_the_figures_are_in_range(records: list[ReplicaRecord]) -> None:
    told = not_ready([deployment()], records)
    assert told.retry_after_seconds is not None
    assert 1 <= told.retry_after_seconds <= 30
    percent = told.progress["percent"]
    assert percent is None or (isinstance(percent, float) and 0 <= percent <= 100)


CHAT = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1}


@pytest.mark.parametrize("model", [{"model": MODEL}, {"model": f"{MODEL}:auto"}, {}])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/v1/completions", {"prompt": "x"}, 503, {"message", "type", "param", "code"}),
        ("/v1/chat/completions", CHAT, 503, {"message", "type", "param", "code"}),
        ("/v1/messages", CHAT, 529, {"message", "type"}),
    ],
)
async def test_each_dialect_has_the_progress_beside_its_error(
    store: Store,
    settings: ClusterSettings,
    path: str,
    body: dict[str, Any],
    status: int,
    error: set[str],
    stream: bool,
    model: dict[str, str],
) -> None:
    registry = Registry(store)
    await registry.put_deployment(deployment().model_copy(update={"detail": SENTENCE}))
    await registry.put_replica(downloading(41.0, 240.0))
    async with serving(gateway_settings(settings), store) as gateway, gateway.client() as client:
        answer = await client.post(path, json={**body, **model, "stream": stream})
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert set(told["error"]) == error
    assert "downloading (41 %)" in told["error"]["message"]
    assert told["detail"] == told["error"]["message"]
    assert told["progress"]["percent"] == 41.0
    assert told["progress"]["replicas"][0]["phase"] == "downloading"
    assert answer.headers["Retry-After"] == "30"
