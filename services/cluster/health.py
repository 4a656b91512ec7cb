"""`python -m services.cluster.health PORT` asks the service whose RPC server has this port here.

Ends with 0 when it serves, else with 1 and the reason. For containers, which have no other tool.
It reads no settings: what is asked every few seconds has to start quickly.
"""

from __future__ import annotations

import sys
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_ANSWER_SECONDS = 5.0


def problem(port: int) -> str:
    """Why the service does not serve; "" when it does."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            health: Any = health_pb2_grpc.HealthStub(channel)
            answer = health.Check(health_pb2.HealthCheckRequest(), timeout=_ANSWER_SECONDS)
        except grpc.RpcError as error:
            return str(error.details())
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def main() -> int:
    if reason := problem(int(sys.argv[1])):
        print(reason)  # noqa: T201 the container engine shows it
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
