"""What every process measures of itself, and the port where Prometheus reads it."""

from __future__ import annotations

from prometheus_client import Counter, Histogram, start_http_server

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

RPC_SECONDS = Histogram(
    "hearth_rpc_seconds",
    "Time from an RPC's arrival to its end.",
    ["method", "status"],
    buckets=_SECONDS,
)
LEASES_LOST = Counter("hearth_leases_lost", "Writes refused because a newer holder exists.")


def serve_metrics(bind_host: str, advertise_host: str, port: int = 0) -> str:
    """Serves /metrics; port 0 takes a free one. Returns the HOST:PORT that others dial."""
    server, _ = start_http_server(port, addr=bind_host)
    return f"{advertise_host}:{server.server_port}"
