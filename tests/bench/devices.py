"""What an assignment costs in a large cluster: time against bare writes, memory of Redis, growth.

`make bench-devices` runs it on a Redis of its own, set up as the launcher does. Hosts are published
as their agents do it; assignments are mixed in size, and every tenth is followed by a release and
an assignment in its place. Between two assignments come two XADDs, which is what any two writes
cost on this disk at this moment.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.cluster import redis_server
from services.cluster.devices.assignments import Devices
from services.cluster.devices.records import GIB, AssignmentRequest, DeviceRecord
from services.cluster.store.connection import Store

_NUM_GPUS = 8
_GPU_GIB = 80
_SIZES = ((1, 2), (1, 4), (1, 8), (1, 16), (1, 24), (2, 8), (4, 4))  # devices, GiB of each
_NUM_TOGETHER = 16
_HOUR = 3600.0  # nobody publishes again here


@dataclass(frozen=True)
class Step:
    """Seconds of each assignment of the step, and of the two writes beside each."""

    num_hosts: int
    num_assignments: int
    assign_seconds: Sequence[float]
    write_seconds: Sequence[float]
    bytes_per_assignment: float

    def line(self) -> str:
        assign, write = _percentiles(self.assign_seconds), _percentiles(self.write_seconds)
        return (
            f"{self.num_hosts:6d} {self.num_assignments:8d}"
            f" {assign[0] * 1000:9.2f} {assign[1] * 1000:9.2f}"
            f" {write[0] * 1000:9.2f} {write[1] * 1000:9.2f}"
            f" {assign[0] / write[0]:7.2f} {self.bytes_per_assignment:9.0f}"
        )


def gpus(host_id: str) -> list[DeviceRecord]:
    return [
        DeviceRecord(
            device_id=f"GPU-{host_id}-00000000-0000-0000-{number:04d}",
            host_id=host_id,
            kind="cuda",
            name="NVIDIA H100 80GB HBM3",
            total_bytes=_GPU_GIB * GIB,
            temperature=40.0,
            utilization=0.0,
        )
        for number in range(_NUM_GPUS)
    ]


def a_request(name: str, rng: random.Random) -> AssignmentRequest:
    num_devices, gib = rng.choice(_SIZES)
    return AssignmentRequest(f"replica/{name}", num_devices, gib * GIB, kind="cuda")


class Cluster:
    """Simulated hosts in one store, and what is assigned of them."""

    def __init__(self, store: Store, seed: int) -> None:
        self._store = store
        self._devices = Devices(store)
        self._rng = random.Random(seed)
        self._holders: list[str] = []
        self._num_names = 0
        self._num_hosts = 0
        self._empty_bytes = 0

    async def publish(self, num_hosts: int) -> float:
        """Bytes of Redis for each device."""
        before = await self._used_bytes()
        for number in range(num_hosts):
            await self._devices.publish(f"host-{number}", gpus(f"host-{number}"), _HOUR)
        self._num_hosts = num_hosts
        self._empty_bytes = await self._used_bytes()
        return (self._empty_bytes - before) / (num_hosts * _NUM_GPUS)

    async def grow(self, num_assignments: int) -> Step:
        """One after another, until there are so many."""
        assign: list[float] = []
        write: list[float] = []
        while len(self._holders) < num_assignments:
            assign.append(await self._assign())
            write.append(await self._two_writes())
            if len(self._holders) % 10 == 9:
                place = self._rng.randrange(len(self._holders))
                await self._devices.release(self._holders.pop(place))
                assign.append(await self._assign())
        grown = await self._used_bytes() - self._empty_bytes
        return Step(self._num_hosts, num_assignments, assign, write, grown / num_assignments)

    async def together(self, count: int) -> float:
        """Assignments in a second when so many askers never pause."""
        names = iter([self._name() for _ in range(count)])

        async def ask() -> None:
            for name in names:
                await self._devices.assign(a_request(name, self._rng))

        began = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(_NUM_TOGETHER)))
        return count / (time.perf_counter() - began)

    async def _assign(self) -> float:
        request = a_request(self._name(), self._rng)
        began = time.perf_counter()
        await self._devices.assign(request)
        seconds = time.perf_counter() - began
        self._holders.append(request.holder)
        return seconds

    async def _two_writes(self) -> float:
        began = time.perf_counter()
        for _ in range(2):
            await self._store.redis.xadd("bench:writes", {"n": "1"}, maxlen=100)
        return time.perf_counter() - began

    def _name(self) -> str:
        self._num_names += 1
        return f"deployment-{self._num_names:06d}-0"

    async def _used_bytes(self) -> int:
        info: Any = await self._store.redis.info("memory")
        return int(info["used_memory_dataset"])


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """The median, and the 99th of a hundred."""
    return statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]


async def bench(url: str, num_hosts: int, sizes: Sequence[int], seed: int) -> list[Step]:
    store = await Store.connect(url)
    try:
        await store.redis.flushall()
        cluster = Cluster(store, seed)
        per_device = await cluster.publish(num_hosts)
        steps = []
        for size in sizes:
            steps.append(await cluster.grow(size))
            _print(steps[-1].line())
        rate = await cluster.together(1000)
        _print(
            f"{num_hosts} hosts: {per_device:.0f} bytes of Redis for a device without assignment;"
            f" {_NUM_TOGETHER} askers at once get {rate:.0f} assignments a second"
        )
        return steps
    finally:
        await store.close()


def growth(steps: Sequence[Step]) -> str:
    """The last step against the first, of one assignment each: 1.0 is linear in all."""
    first, last = steps[0], steps[-1]
    seconds = _percentiles(last.assign_seconds)[0] / _percentiles(first.assign_seconds)[0]
    ratios = [_percentiles(s.assign_seconds)[0] / _percentiles(s.write_seconds)[0] for s in steps]
    memory = last.bytes_per_assignment / first.bytes_per_assignment
    return (
        f"{first.num_assignments} on {first.num_hosts} hosts → {last.num_assignments} on"
        f" {last.num_hosts}: time of one × {seconds:.2f} (against writes × "
        f"{ratios[-1] / ratios[0]:.2f}), memory of one × {memory:.2f}"
    )


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command, url = redis_server.prepare(Path(folder))
        redis = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
        try:
            _print("                 assign, ms           two XADDs, ms       ratio  bytes of")
            _print(" hosts  in all       p50       p99       p50       p99   of p50  Redis each")
            few = await bench(url, 100, (500, 1000), options.seed)
            many = await bench(url, 1000, (1000, 2000, 5000, 10_000), options.seed)
            _print(f"Growth by assignments: {growth(many)}")
            _print(f"Growth by hosts: {growth([few[-1], many[0]])}")
        finally:
            redis.terminate()
            await redis.wait()


if __name__ == "__main__":
    asyncio.run(main())
