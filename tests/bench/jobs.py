"""How soon a job that is enqueued begins, beside two bare XADDs on the same Redis.

`make bench-jobs` starts a Redis of its own by the product's command. Rounds are interleaved: each
measures the two XADDs and then every length of the queue once, so that a slow moment of the machine
or its disk meets all of them. A worker in a process of its own waits as the product's does, blocked
in `JobQueue.wait`, and claims. Times are of CLOCK_MONOTONIC, which all processes share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis.asyncio
import uvloop

from services.cluster import redis_server
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind
from services.cluster.store.connection import Store

ROOT = Path(__file__).parents[2]
# Each length of the queue is that of another kind, so that all are there at the same time.
_LENGTHS = {
    JobKind.EVALUATE: 10,
    JobKind.DOWNLOAD: 100,
    JobKind.RUN: 1_000,
    JobKind.SCAN: 10_000,
}
_PAYLOAD = {"project_id": "p1", "text": "x" * 200}
_BEFORE, _AFTER = 10, 20  # priorities of the queued jobs, half of them each; the next has 0
_NUM_FILLING = 50
_NUM_SUBMITTERS = 8
_MOST_RATIO = 1.3
_MOST_SPREAD = 0.2
_TIMEOUT_SECONDS = 30.0

Seconds = dict[str, list[float]]


class Waiter:
    """The worker's process: told a kind, it blocks; after a claim it tells when it had the job."""

    def __init__(self, process: asyncio.subprocess.Process, client: redis.asyncio.Redis) -> None:
        self._process = process
        self._client = client

    async def block(self, kind: JobKind) -> None:
        """Returns when it is blocked in Redis."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{kind}\n".encode())
        await self._said()
        while not any(
            "b" in client["flags"] and client["cmd"] == "xread"
            for client in await self._client.client_list()
        ):
            await asyncio.sleep(0)

    async def claimed(self) -> dict[str, Any]:
        return await self._said()

    async def _said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            line: dict[str, Any] = json.loads(await self._process.stdout.readline())
            return line


async def wait_and_claim(url: str) -> None:
    """What the worker's process does, until its input ends."""
    store = await Store.connect(url)
    queue = JobQueue(store)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        kind = JobKind(line.strip())
        mark = await queue.mark(kind)
        tell({})
        job = None
        while job is None:
            mark, job = await queue.claim_on_news(kind, "waiter", mark)
        claimed_at = time.monotonic()
        await queue.succeed(job, {})
        tell({"job_id": job.job_id, "claimed_at": claimed_at})
    await store.close()


def tell(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def fill(queue: JobQueue) -> None:
    """So many jobs of each kind that a measured one goes before all of them, or into the middle."""

    async def some(kind: JobKind, numbers: range) -> None:
        for number in numbers:
            await queue.enqueue(kind, _PAYLOAD, priority=_AFTER if number % 2 else _BEFORE)

    for kind, length in _LENGTHS.items():
        async with asyncio.TaskGroup() as tasks:
            for first in range(_NUM_FILLING):
                tasks.create_task(some(kind, range(first, length, _NUM_FILLING)))
        assert (await queue.census(kind)).num_queued == length


async def measure_xadds(client: redis.asyncio.Redis, seconds: Seconds) -> None:
    begun = time.monotonic()
    for _ in range(2):
        await client.xadd("bench:stream", {"job_id": "run-0123456789ab"})
    seconds["two XADDs"].append(time.monotonic() - begun)


async def measure_job(queue: JobQueue, waiter: Waiter, kind: JobKind, seconds: Seconds) -> None:
    length = _LENGTHS[kind]
    await waiter.block(kind)
    begun = time.monotonic()
    job = await queue.enqueue(kind, _PAYLOAD)
    enqueued_at = time.monotonic()
    told = await waiter.claimed()
    assert told["job_id"] == job.job_id
    seconds[f"enqueue to start, {length}"].append(told["claimed_at"] - begun)
    seconds[f"enqueue, {length}"].append(enqueued_at - begun)
    begun = time.monotonic()
    job = await queue.enqueue(kind, _PAYLOAD, priority=(_BEFORE + _AFTER) // 2)
    seconds[f"enqueue in the middle, {length}"].append(time.monotonic() - begun)
    await queue.cancel(job.job_id)


async def measure_throughput(url: str, queue: JobQueue, num_jobs: int) -> float:
    """Jobs a second by so many submitters, each with a connection of its own."""
    stores = [await Store.connect(url) for _ in range(_NUM_SUBMITTERS)]

    async def submit(store: Store) -> None:
        for _ in range(num_jobs // _NUM_SUBMITTERS):
            await JobQueue(store).enqueue(JobKind.DOWNLOAD, _PAYLOAD)

    before = (await queue.census(JobKind.DOWNLOAD)).num_queued
    begun = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for store in stores:
            tasks.create_task(submit(store))
    seconds = time.monotonic() - begun
    added = (await queue.census(JobKind.DOWNLOAD)).num_queued - before
    for store in stores:
        await store.close()
    return added / seconds


async def bench(url: str, num_rounds: int) -> tuple[Seconds, float]:
    store = await Store.connect(url)
    queue = JobQueue(store)
    await fill(queue)
    client = redis.asyncio.Redis.from_url(url, decode_responses=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.jobs", "--waiter", url),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    waiter = Waiter(process, client)
    seconds: Seconds = defaultdict(list)
    for number in range(-num_rounds // 10, num_rounds):
        if number == 0:
            seconds.clear()  # the first ones warm connections and script cache
        for kind in _LENGTHS:
            await measure_xadds(client, seconds)
            await measure_job(queue, waiter, kind, seconds)
    process.terminate()
    await process.wait()
    throughput = await measure_throughput(url, queue, 2000)
    await client.aclose()
    await store.close()
    return seconds, throughput


def spread(medians: Sequence[float]) -> float:
    """How far the slowest is above the fastest, as a part of it."""
    return max(medians) / min(medians) - 1


def results(seconds: Seconds, throughput: float) -> list[str]:
    """The lines to print: each time, then whether the two targets are met."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    pairs = len(seconds["two XADDs"])
    lines = [f"{'':34}{'p50':>9}{'p99':>9}    milliseconds, {pairs} XADD pairs"]
    for name, values in seconds.items():
        p99 = statistics.quantiles(values, n=100)[98]
        lines.append(f"{name:34}{medians[name] * 1000:9.2f}{p99 * 1000:9.2f}")
    lines.append(f"{_NUM_SUBMITTERS} submitters enqueue {throughput:.0f} jobs/s")
    for length in _LENGTHS.values():
        start = medians[f"enqueue to start, {length}"]
        ratio = start / medians["two XADDs"]
        more = (start - medians["two XADDs"]) * 1000
        met = "met" if ratio <= _MOST_RATIO else "MISSED"
        lines.append(
            f"{length:6} queued: {ratio:.2f} x two XADDs, {more:.2f} ms more;"
            f" wanted {_MOST_RATIO}: {met}"
        )
    for part in ("enqueue to start", "enqueue", "enqueue in the middle"):
        over = spread([medians[f"{part}, {length}"] for length in _LENGTHS.values()])
        met = "met" if over <= _MOST_SPREAD else "MISSED"
        lengths = f"{min(_LENGTHS.values())} to {max(_LENGTHS.values())} queued"
        lines.append(f"{part}, {lengths}: within {over:.0%}; wanted {_MOST_SPREAD:.0%}: {met}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.jobs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--data-dir", type=Path, help="on the disk that is to be measured")
    parser.add_argument("--waiter", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.waiter:
        uvloop.run(wait_and_claim(arguments.waiter))
        return
    with (
        tempfile.TemporaryDirectory(dir=arguments.data_dir) as folder,
        redis_server.running(Path(folder)) as url,
    ):
        for line in results(*uvloop.run(bench(url, arguments.rounds))):
            print(line)  # noqa: T201


if __name__ == "__main__":
    main()
