"""Replicas that hang: real processes, and what the registry has heard of them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.cluster.records import ReplicaPhase, ReplicaRecord
from services.cluster.registry import Registry
from services.cluster.store.connection import Store
from services.inference.agent.reconcile import LocalPhase
from services.inference.agent.replicas import SILENT_SECONDS, Replicas
from tests.inference.agent.specs import a_replica, a_spec, an_assignment

REPLICA = "d-0"
# Says its pid, and "bye" when it is asked to end.
SLEEPER = """
import os, signal, sys, time
def leave(*_):
    print("bye", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
print(os.getpid(), flush=True)
time.sleep(600)
"""


class Running:
    """Replicas with one whose process does nothing. `changed` is set when it has ended."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self.registry = registry
        self.changed = asyncio.Event()
        self.replicas = Replicas(registry, folder, self.changed.set)
        self.output = folder / f"replica-{REPLICA}.out"
        self._now = 0.0

    async def start(self) -> None:
        spec = a_spec()
        command = [sys.executable, "-c", SLEEPER]
        await self.replicas.start(spec, an_assignment(spec), command, os.environ)
        async with asyncio.timeout(30):
            while not self.output.read_text():
                await asyncio.sleep(0.01)

    def record(self, phase: ReplicaPhase) -> ReplicaRecord:
        return a_replica(REPLICA, phase, pid=int(self.output.read_text()))

    def hears(self, now: float, *records: ReplicaRecord) -> None:
        """Nothing until `now`, looked for every few seconds, and these records then."""
        while self._now + 5 < now:
            self._now += 5
            self.replicas.end_hanging({}, self._now)
        self.hears_at(now, *records)

    def hears_at(self, now: float, *records: ReplicaRecord) -> None:
        self._now = now
        self.replicas.end_hanging({record.replica_id: record for record in records}, now)

    @property
    def phase(self) -> LocalPhase | None:
        found = self.replicas.local({}).get(REPLICA)
        return found.phase if found else None

    async def lives(self) -> bool:
        """Whether it can still be asked to end, which it is."""
        self.replicas.stop(REPLICA, 10)
        await self.replicas.close()
        return "bye" in self.output.read_text()


@pytest_asyncio.fixture
async def running(store: Store, tmp_path: Path) -> AsyncIterator[Running]:
    running = Running(Registry(store), tmp_path)
    await running.start()
    yield running
    if running.phase is LocalPhase.RUNNING:
        running.replicas.stop(REPLICA, 5)
        await running.replicas.close()


async def test_one_that_has_started_and_says_nothing_more_is_ended_with_the_reason(
    running: Running,
) -> None:
    running.hears(0, running.record(ReplicaPhase.READY))
    running.hears(SILENT_SECONDS - 1)
    assert not running.changed.is_set()
    running.hears(SILENT_SECONDS)
    await asyncio.wait_for(running.changed.wait(), 10)
    assert running.phase is LocalPhase.ENDED
    [record] = (await running.registry.view()).replicas.values()
    assert record.phase is ReplicaPhase.STARTING
    assert record.detail.startswith("being started again after it ended: it hung")


async def test_one_that_is_heard_of_again_goes_on(running: Running) -> None:
    ready = running.record(ReplicaPhase.READY)
    for now in range(0, 3 * int(SILENT_SECONDS), int(SILENT_SECONDS) - 1):
        running.hears(now)
        running.hears(now + SILENT_SECONDS - 2, ready)
    assert await running.lives()


async def test_who_could_not_be_heard_does_not_hang(running: Running) -> None:
    """Redis was away for hours, twice, and the replica's word comes a little later than it."""
    ready = running.record(ReplicaPhase.READY)
    running.hears(0, ready)
    running.hears_at(1)
    running.hears_at(10_000)
    running.hears_at(20_000)
    running.hears_at(20_005, ready)
    assert await running.lives()


async def test_the_word_of_the_process_before_is_not_its_own(running: Running) -> None:
    running.hears(0, running.record(ReplicaPhase.READY))
    before = a_replica(REPLICA, pid=1)
    running.hears(1, before)
    running.hears(1 + SILENT_SECONDS, before)
    assert not await running.lives()


@pytest.mark.parametrize(("seconds", "lives"), [(2 * SILENT_SECONDS, True), (1000, False)])
async def test_one_that_starts_may_be_silent_for_longer(
    running: Running, seconds: float, lives: bool
) -> None:
    running.hears(0)
    running.hears(seconds)
    assert await running.lives() is lives


@pytest.mark.parametrize(
    ("phase", "ready"),
    [
        (ReplicaPhase.WARMING, False),
        (ReplicaPhase.READY, True),
        (ReplicaPhase.ASLEEP, True),
        (ReplicaPhase.DRAINING, True),
    ],
)
async def test_others_wait_only_for_one_that_starts(
    running: Running, phase: ReplicaPhase, ready: bool
) -> None:
    assert running.replicas.local({REPLICA: running.record(phase)})[REPLICA].ready is ready
