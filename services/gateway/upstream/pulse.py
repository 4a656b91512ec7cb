"""Whether replicas that keep requests waiting live.

A process that is stopped, or whose loop stands still, keeps its connections and says nothing; so
does one that is only busy, for much longer. What tells them apart is a question that any process
answers at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from services.cluster.records import ReplicaRecord
from services.cluster.tasks import end

GiveUp = Callable[[], object]


@dataclass
class _Watch:
    """`waiting` are the requests that are given up when the replica does not answer."""

    waiting: set[GiveUp] = field(default_factory=set)
    task: asyncio.Task[None] | None = None


class Pulse:
    """`lives` asks a replica, in bounded time, whenever one kept somebody waiting for `seconds`."""

    def __init__(self, lives: Callable[[ReplicaRecord], Awaitable[bool]], seconds: float) -> None:
        self._lives = lives
        self._seconds = seconds
        self._watches: dict[str, _Watch] = {}

    @contextmanager
    def watching(self, replica: ReplicaRecord, give_up: GiveUp) -> Iterator[None]:
        """`give_up` is called when the replica is found dead while the block runs."""
        watch = self._watches.setdefault(replica.address, _Watch())
        watch.waiting.add(give_up)
        if watch.task is None:
            watch.task = asyncio.create_task(self._feel(replica, watch), name="pulse")
        try:
            yield
        finally:
            watch.waiting.discard(give_up)

    async def close(self) -> None:
        for watch in list(self._watches.values()):
            await end(watch.task)

    async def _feel(self, replica: ReplicaRecord, watch: _Watch) -> None:
        try:
            while watch.waiting:
                await asyncio.sleep(self._seconds)
                if watch.waiting and not await self._lives(replica):
                    for give_up in list(watch.waiting):
                        give_up()
        finally:
            del self._watches[replica.address]
