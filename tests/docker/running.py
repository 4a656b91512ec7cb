"""Hearth as containers, as a user of a host without GPU starts it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.running import ROOT, free_port

SERVICES = frozenset(
    {"datascan", "finetune", "gateway", "inference", "prometheus", "redis", "webui"}
)
HEALTHY_SECONDS = 300
READY_SECONDS = 300
_STOP_SECONDS = "30"


def compose_command() -> list[str]:
    """The program of its own, else the plugin of `docker`."""
    return ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """What it printed. Raises AssertionError with that when it fails."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} not within {seconds:.0f} s"
        time.sleep(0.5)


def own_environment(port: int, prometheus_port: int) -> dict[str, str]:
    """A project, ports and image tag of its own beside whatever else runs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
    return kept | {
        "COMPOSE_PROJECT_NAME": f"hearth-test-{secrets.token_hex(3)}",
        "HEARTH_PORT": str(port),
        "HEARTH_PROMETHEUS_PORT": str(prometheus_port),
        "HEARTH_TAG": "test",
    }


@dataclass
class Composed:
    """`token` may complete; `admin_token` may do everything."""

    port: int = field(default_factory=free_port)
    prometheus_port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict)
    token: str = ""
    admin_token: str = ""

    def __post_init__(self) -> None:
        self.environment = own_environment(self.port, self.prometheus_port)

    @property
    def project(self) -> str:
        return self.environment["COMPOSE_PROJECT_NAME"]

    def compose(self, *arguments: str) -> str:
        command = [*compose_command(), "-f", "docker-compose.yml", *arguments]
        return run(*command, environment=self.environment)

    def start(self, *options: str) -> None:
        """Returns when every container is healthy and a model answers."""
        self.compose("up", "-d", *options)
        wait_for(self.all_healthy, HEALTHY_SECONDS, "healthy containers")
        wait_for(self.answers, READY_SECONDS, "a model that answers")

    def stop(self) -> None:
        """Containers and networks are gone then; volumes stay."""
        self.compose("down", "--timeout", _STOP_SECONDS)

    def remove(self) -> None:
        self.compose("down", "-v", "--remove-orphans", "--timeout", "5")

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine says of a service's container."""
        container = self.compose("ps", "-q", service)
        (found,) = json.loads(run("docker", "inspect", container))
        return dict(found)

    def health(self, service: str) -> str:
        return str(self.inspect(service)["State"]["Health"]["Status"])

    def all_healthy(self) -> bool:
        return all(self.health(service) == "healthy" for service in SERVICES)

    def answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def run_inside(self, service: str, *command: str) -> str:
        return self.compose("exec", "-T", service, *command)

    def client(self, token: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )

    def new_token(self, scope: str) -> str:
        return self.run_inside(
            "gateway", "python", "-m", "services.gateway.tokens", "--name", scope, "--scope", scope
        )
