from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import Overloaded
from services.cluster.settings import ClusterSettings
from services.inference.engines.generation import Delta, Finish, FinishReason
from services.inference.serving.adapters import ReplicaAdapters
from services.inference.serving.metrics import EngineFigures, GenerationMeter
from tests.inference.serving.replicas import echo_engine, new_state, publish_adapter

FINISH = Finish(FinishReason.STOP, "", 100, 7, 64, queue_seconds=0.5)


def figure(name: str, deployment: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"deployment": deployment, **labels}) or 0.0


def test_a_generation_is_measured() -> None:
    times = iter([10.0, 12.0, 12.5, 13.5])
    meter = GenerationMeter("m1", lambda: next(times))
    meter.show(Delta())  # the prompt is read: no token yet
    meter.show(Delta(token_ids=[1]))
    meter.show(Delta(token_ids=[2]))
    meter.show(Delta(token_ids=[3, 4, 5, 6, 7], finish=FINISH))
    assert figure("hearth_replica_first_token_seconds_sum", "m1") == 2.0
    assert figure("hearth_replica_first_token_seconds_count", "m1") == 1
    assert figure("hearth_replica_inter_token_seconds_count", "m1") == 6
    assert figure("hearth_replica_inter_token_seconds_sum", "m1") == pytest.approx(1.5)
    assert figure("hearth_replica_queue_seconds_sum", "m1") == 0.5
    tokens = [
        figure("hearth_replica_tokens_total", "m1", kind=kind)
        for kind in ("prompt", "cached", "generated")
    ]
    assert tokens == [100, 64, 7]


async def test_the_engines_gauges_are_those_of_the_moment() -> None:
    registry, state = CollectorRegistry(), new_state()
    registry.register(EngineFigures("d1", lambda: state.engine))
    labels = {"deployment": "d1"}
    assert registry.get_sample_value("hearth_replica_loaded_adapters", labels) == 0
    state.engine = await echo_engine()
    await state.engine.load_adapter("a1", Path("/"))
    assert registry.get_sample_value("hearth_replica_loaded_adapters", labels) == 1
    for name in ("running", "waiting", "kv_cache_usage"):
        assert registry.get_sample_value(f"hearth_replica_{name}", labels) == 0


async def test_loads_of_adapters_are_counted(settings: ClusterSettings) -> None:
    engine = await echo_engine(deployment="m2", max_loaded_adapters=1)
    adapters = ReplicaAdapters(engine, ArtifactStore(settings.data_dir), lambda: None)
    for adapter_id in ("a1", "a2"):
        publish_adapter(settings.data_dir, adapter_id)
    await adapters.load("a1", by_hand=True)
    await adapters.load("a1", by_hand=True)  # nothing to do
    with pytest.raises(Overloaded):
        await adapters.load("a2", by_hand=True)
    assert figure("hearth_replica_adapter_loads_total", "m2", result="loaded") == 1
    assert figure("hearth_replica_adapter_loads_total", "m2", result="failed") == 1
    assert figure("hearth_replica_adapter_load_seconds_count", "m2") == 1
