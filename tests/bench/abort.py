"""How long it takes from a client's closed socket to the engine's abort. `make bench` runs it.

The client notes the time at which it closes its socket; the replica logs each abort with its
request id and time (same clock: both are on this host). Half of the requests stream.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.e2e.running import Cluster, start, stop, wait_for_line

_MAX_TOKENS = 1000
_SETTLE_SECONDS = 0.1


def open_request(cluster: Cluster, request_id: str, stream: bool) -> socket.socket:
    """Sends a long completion over a socket of its own."""
    place = urlsplit(cluster.url)
    assert place.hostname
    assert place.port
    connection = socket.create_connection((place.hostname, place.port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = json.dumps(
        {
            "prompt": f"def f_{request_id}(",
            "max_tokens": _MAX_TOKENS,
            "temperature": 1,
            "logit_bias": {"0": -100},
            "stream": stream,
        }
    ).encode()
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: {place.netloc}\r\n"
        f"Authorization: Bearer {cluster.token}\r\nContent-Type: application/json\r\n"
        f"X-Request-Id: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def running(cluster: Cluster) -> int:
    """Generations that vLLM's own gauges count as running or waiting."""
    with cluster.client(cluster.admin_token) as client:
        replicas = client.get("/api/v1/deployments").json()[0]["replicas"]
    return sum(replica["num_running"] + replica["num_waiting"] for replica in replicas)


def abort_once(cluster: Cluster, stream: bool) -> tuple[str, float]:
    """The request's id and the unix time at which its socket was closed."""
    request_id = uuid.uuid4().hex
    connection = open_request(cluster, request_id, stream)
    if stream:
        connection.recv(4096)
    time.sleep(random.uniform(0.1, 0.4))  # somewhere in the generation
    closed_at = time.time()
    connection.close()
    return request_id, closed_at


def aborted_at(cluster: Cluster) -> dict[str, float]:
    """Unix time of each abort by request id, as the replica's log tells it."""
    found: dict[str, float] = {}
    for log in (cluster.data_dir / "logs").glob("replica*.log*"):
        for line in log.read_text().splitlines():
            entry = json.loads(line)
            if entry["message"] == "generation aborted":
                found[entry["request_id"]] = float(entry["aborted_at"])
    return found


def report(name: str, delays: list[float], num_sent: int) -> None:
    """Prints milliseconds."""
    ms = sorted(1000 * delay for delay in delays)
    p99 = ms[min(len(ms) - 1, int(0.99 * len(ms)))] if ms else float("nan")
    median = statistics.median(ms) if ms else float("nan")
    print(  # noqa: T201
        f"{name:12s} {num_sent:4d} closed, {len(ms):4d} aborted;"
        f" p50 {median:6.2f} ms, p99 {p99:6.2f} ms, max {ms[-1] if ms else 0:6.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aborts", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cluster = start(Path(folder), HEARTH_LOG_LEVEL="DEBUG")
        try:
            wait_for_line(cluster, "Hearth is ready")
            for scope in ("completions", "admin"):
                made = cluster.command(
                    "-m", "services.gateway.tokens", "--name", scope, "--scope", scope
                )
                setattr(cluster, "token" if scope == "completions" else "admin_token", made)
            closed = [
                (*abort_once(cluster, stream=bool(number % 2)), bool(number % 2))
                for number in range(arguments.aborts)
            ]
            time.sleep(_SETTLE_SECONDS)
            gauge = httpx.get(f"{cluster.url}/readyz").json()
            seen = aborted_at(cluster)
            for name, streaming in (("streaming", True), ("not streaming", False)):
                mine = [(i, at) for i, at, stream in closed if stream is streaming]
                report(name, [seen[i] - at for i, at in mine if i in seen], len(mine))
            print(f"running or waiting in vLLM afterwards: {running(cluster)}; {gauge}")  # noqa: T201
        finally:
            stop(cluster)


if __name__ == "__main__":
    main()
