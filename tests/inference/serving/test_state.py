from __future__ import annotations

import asyncio

from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.records import ReplicaPhase
from services.inference.serving.generations import Generations
from tests.inference.serving.replicas import PATIENCE_SECONDS, echo_engine, new_state


async def test_a_starting_replica_says_what_it_does() -> None:
    state = new_state()
    state.set(ReplicaPhase.STARTING, "loading the weights")
    record = state.record()
    assert (record.phase, record.detail) == (ReplicaPhase.STARTING, "loading the weights")
    assert (record.context_tokens, record.loaded_adapter_ids, record.fim) == (0, (), None)
    assert state.status().phase == pb.REPLICA_PHASE_STARTING


async def test_a_ready_replica_says_what_it_can() -> None:
    state = new_state()
    state.engine = await echo_engine(context_tokens=99)
    state.generations = Generations(state.engine, 1)
    state.set(ReplicaPhase.READY)
    record = state.record()
    assert record.context_tokens == 99
    assert record.supports_chat
    assert record.fim is not None
    assert record.fim.family == "qwen2.5-coder"
    assert record.fim.end == "<|endoftext|>"
    status = state.status()
    assert (status.engine, status.engine_version, status.context_tokens) == ("echo", "1", 99)


async def test_problems_of_adapters_are_told_as_they_are_now() -> None:
    state, problems = new_state(), {"a": "It is too wild."}
    state.adapter_problems = problems
    before = state.record()
    problems.clear()
    assert (before.adapter_problems, state.record().adapter_problems) == (
        {"a": "It is too wild."},
        {},
    )


async def test_each_change_is_followed() -> None:
    state, seen = new_state(), asyncio.Queue[ReplicaPhase]()
    following = asyncio.create_task(state.follow(lambda: seen.put_nowait(state.phase)))
    async with asyncio.timeout(PATIENCE_SECONDS):
        for phase in (ReplicaPhase.READY, ReplicaPhase.DRAINING):
            state.set(phase)
            assert await seen.get() is phase
    following.cancel()
