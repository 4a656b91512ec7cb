"""What every process measures of itself, and the port where Prometheus reads it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import Counter, Histogram, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

RPC_SECONDS = Histogram(
    "hearth_rpc_seconds",
    "Time from an RPC's arrival to its end.",
    ["method", "status"],
    buckets=_SECONDS,
)
REDIS_SECONDS = Histogram(
    "hearth_redis_seconds",
    "Time from a call of Redis to its answer, by command or script; waiting on streams is none.",
    ["call"],
    buckets=_SECONDS,
)
STORE_UNAVAILABLE = Counter(
    "hearth_store_unavailable", "Calls that Redis did not serve, by reason.", ["reason"]
)
FENCED_WRITES = Counter(
    "hearth_fenced_writes",
    "Writes refused because their holder's lease was lost, by the record that was to be written.",
    ["record"],
)

# Groups in the form of Prometheus' HTTP service discovery: {"targets": [...], "labels": {...}}.
Targets: TypeAlias = "Callable[[], list[dict[str, Any]]]"


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Prometheus asks every few seconds: nothing to tell."""


def serve_metrics(
    bind_host: str, advertise_host: str, port: int = 0, targets: Targets | None = None
) -> str:
    """Serves /metrics, and at /targets what else there is to read, if the process knows.

    Port 0 takes a free one. Returns the HOST:PORT that others dial.
    """
    own = make_wsgi_app()

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if targets is None or environ["PATH_INFO"] != "/targets":
            figures: Iterable[bytes] = own(environ, start_response)
            return figures
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(targets()).encode()]

    server = make_server(bind_host, port, answer, ThreadingWSGIServer, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()
    return f"{advertise_host}:{server.server_port}"
