"""From a client's closed socket to the engine's abort, and until vLLM's own gauge says zero.

`make bench` runs it on a cluster of its own with the real engine. The client notes when it closes
its socket; the replica logs each abort with its request id and time (both on this host's clock).
Every other request streams. Closing is compared with what it has to be quick against: the time
that the engine takes for one token in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.pb.v1 import replica_pb2_grpc as rpc
from services.cluster.registry import Registry
from services.cluster.rpc import open_channel
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.e2e.running import Cluster, start, stop, wait_for_line

_MAX_TOKENS = 1500
_POLL_SECONDS = 0.002
_GAUGE_SECONDS = 5.0


@dataclass(frozen=True)
class Abort:
    """`closed_at` in unix seconds; `gauge_seconds` from there until the engine ran nothing."""

    request_id: str
    streaming: bool
    closed_at: float
    gauge_seconds: float


async def open_request(
    cluster: Cluster, request_id: str, streaming: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Sends a long completion over a socket of its own."""
    place = urlsplit(cluster.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    body = json.dumps(
        {
            "prompt": f"def f_{request_id}(",
            "max_tokens": _MAX_TOKENS,
            "temperature": 1,
            "stream": streaming,
        }
    ).encode()
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: {place.netloc}\r\n"
        f"Authorization: Bearer {cluster.token}\r\nContent-Type: application/json\r\n"
        f"X-Request-Id: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    return reader, writer


async def num_in_engine(replica: rpc.ReplicaAsyncStub) -> int:
    """As vLLM's scheduler counts them."""
    status = await replica.GetStatus(pb.GetReplicaStatusRequest())
    return status.num_running + status.num_waiting


async def until(replica: rpc.ReplicaAsyncStub, busy: bool) -> None:
    async with asyncio.timeout(_GAUGE_SECONDS):
        while (await num_in_engine(replica) > 0) is not busy:
            await asyncio.sleep(_POLL_SECONDS)


async def abort_once(cluster: Cluster, replica: rpc.ReplicaAsyncStub, streaming: bool) -> Abort:
    request_id = uuid.uuid4().hex
    reader, writer = await open_request(cluster, request_id, streaming)
    if streaming:
        await reader.readuntil(b"data: ")
    await until(replica, busy=True)
    await asyncio.sleep(random.uniform(0.05, 0.3))  # somewhere in the generation
    closed_at = time.time()
    writer.transport.abort()
    await until(replica, busy=False)
    return Abort(request_id, streaming, closed_at, time.time() - closed_at)


async def token_seconds(cluster: Cluster) -> float:
    """The median time between two tokens of one stream."""
    reader, writer = await open_request(cluster, uuid.uuid4().hex, streaming=True)
    times = []
    for _ in range(60):
        await reader.readuntil(b"data: ")
        times.append(time.monotonic())
    writer.transport.abort()
    return statistics.median(b - a for a, b in zip(times[10:], times[11:], strict=False))


def aborted_at(cluster: Cluster) -> dict[str, float]:
    """Unix time of each abort by request id, as the replica's log tells it."""
    found: dict[str, float] = {}
    for log in (cluster.data_dir / "logs").glob("replica*.log*"):
        for line in log.read_text().splitlines():
            entry = json.loads(line)
            if entry["message"] == "generation aborted":
                found[entry["request_id"]] = float(entry["aborted_at"])
    return found


def line(name: str, seconds: Sequence[float], num_sent: int) -> str:
    """Milliseconds."""
    ms = sorted(1000 * value for value in seconds)
    if not ms:
        return f"{name:34s} {num_sent:4d} closed, none seen"
    p99 = ms[math.ceil(0.99 * len(ms)) - 1]
    return (
        f"{name:34s} {num_sent:4d} closed, {len(ms):4d} seen;"
        f" p50 {statistics.median(ms):6.1f}, p99 {p99:6.1f}, max {ms[-1]:6.1f} ms"
    )


async def measure(cluster: Cluster, num_aborts: int) -> list[str]:
    settings = ClusterSettings(
        data_dir=cluster.data_dir,
        cluster_key=SecretStr((cluster.data_dir / "cluster.key").read_text().strip()),
    )
    store = await Store.connect(settings.redis_url)
    (record,) = (await Registry(store).view()).replicas.values()
    async with open_channel(record.address, settings) as channel:
        replica: rpc.ReplicaAsyncStub = rpc.ReplicaStub(channel)
        token = await token_seconds(cluster)
        await until(replica, busy=False)
        aborts = [await abort_once(cluster, replica, bool(n % 2)) for n in range(num_aborts)]
    await store.close()
    seen = aborted_at(cluster)
    lines = []
    for name, streaming in (("streaming", True), ("not streaming", False)):
        mine = [abort for abort in aborts if abort.streaming is streaming]
        delays = [seen[a.request_id] - a.closed_at for a in mine if a.request_id in seen]
        lines.append(line(f"close to Engine.abort, {name}", delays, len(mine)))
        gauges = [abort.gauge_seconds for abort in mine]
        lines.append(line(f"close to gauge 0, {name}", gauges, len(mine)))
    lines.append(f"one token of one stream: {1000 * token:.1f} ms (median)")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aborts", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cluster = start(Path(folder), HEARTH_LOG_LEVEL="DEBUG")
        try:
            wait_for_line(cluster, "Hearth is ready")
            cluster.token = cluster.command("-m", "services.gateway.tokens", "--name", "bench")
            for text in asyncio.run(measure(cluster, arguments.aborts)):
                print(text)  # noqa: T201
        finally:
            stop(cluster)


if __name__ == "__main__":
    main()
