"""The whole cluster as a user starts it: `python -m services`, real Redis, real vLLM."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).parents[2]
START_SECONDS = 300


@dataclass
class Cluster:
    """A running cluster. `token` may complete; `admin_token` may do everything."""

    launcher: subprocess.Popen[str]
    url: str
    data_dir: Path
    environment: dict[str, str]
    lines: list[str] = field(default_factory=list)
    token: str = ""
    admin_token: str = ""

    def processes(self) -> list[psutil.Process]:
        """Everything below the launcher, itself included."""
        launcher = psutil.Process(self.launcher.pid)
        return [launcher, *launcher.children(recursive=True)]

    def command(self, *arguments: str) -> str:
        """What a command line tool of the cluster prints."""
        return subprocess.run(
            [sys.executable, *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def client(self, token: str | None = None) -> httpx.Client:
        """An HTTP client that shows a token, the one for completions unless another is given."""
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token if token is None else token}"},
            timeout=60,
        )

    @property
    def sign_in_link(self) -> str:
        """A fresh one: each works once."""
        printed = self.command("-m", "services.gateway.admin_link")
        return next(part for part in printed.split() if part.startswith("http"))


def free_port() -> int:
    """Below those that Linux gives to connections, so that no other test's takes it meanwhile."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port := random.randrange(20_000, 32_768)))
            return port


def start(data_dir: Path, **settings: str) -> Cluster:
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")},
        "HEARTH_DATA_DIR": str(data_dir),
        "HEARTH_PORT": str(port),
        **settings,
    }
    launcher = subprocess.Popen(
        [sys.executable, "-m", "services"],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    cluster = Cluster(launcher, f"http://127.0.0.1:{port}", data_dir, environment)

    def read() -> None:
        assert launcher.stdout is not None
        with launcher.stdout as output:
            cluster.lines.extend(iter(output.readline, ""))

    threading.Thread(target=read, daemon=True).start()
    return cluster


def wait_for_line(cluster: Cluster, pattern: str, seconds: float = START_SECONDS) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for line in cluster.lines:
            if re.search(pattern, line):
                return line
        if cluster.launcher.poll() is not None:
            break
        time.sleep(0.1)
    outputs = sorted((cluster.data_dir / "logs").glob("*.out"))
    tails = "\n".join(f"--- {p.name}\n{p.read_text(errors='replace')[-3000:]}" for p in outputs)
    pytest.fail(f"No line {pattern!r} in {seconds:.0f} s.\n{''.join(cluster.lines)}\n{tails}")


def wait_until_started(cluster: Cluster) -> None:
    """Until it says that it is ready; then it has its tokens."""
    wait_for_line(cluster, "Hearth is ready")
    make_token = ("-m", "services.gateway.tokens", "--name", "tests", "--scope")
    cluster.token = cluster.command(*make_token, "completions")
    cluster.admin_token = cluster.command(*make_token, "admin")


def wait_until_ready(cluster: Cluster, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    with cluster.client() as client:
        while client.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline, f"not ready again within {seconds:.0f} s"
            time.sleep(0.2)


def stop(cluster: Cluster) -> list[psutil.Process]:
    """Ctrl-C. Returns the processes that are left after it: there should be none."""
    processes = cluster.processes() if cluster.launcher.poll() is None else []
    cluster.launcher.send_signal(signal.SIGINT)
    cluster.launcher.wait(60)
    _, left = psutil.wait_procs(processes, timeout=5)
    for process in left:
        process.kill()
    return left
