"""Refact's own agent, unmodified, started as an IDE plugin does; it knows no server but ours."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from tests.e2e.running import free_port

BINARY = Path(sys.executable).with_name("refact-lsp")  # of the wheel `refact`
_START_SECONDS = 60
_END_SECONDS = 10
_NOWHERE = "http://127.0.0.1:9"


class Server(Protocol):
    """Whatever the agent is given the address of."""

    @property
    def url(self) -> str: ...


@contextmanager
def refact_agent(
    cluster: Server, token: str, home: Path, *, reports: bool = False
) -> Iterator[httpx.Client]:
    """A client of the agent's own HTTP API. It keeps its settings, caches and log in `home`.

    With `reports` it saves there what it has to report as it ends, and sends it at its next start.
    """
    port = free_port()
    command = [
        str(BINARY),
        *("--address-url", cluster.url),
        *("--api-key", token),
        *("--http-port", str(port)),
        *("--lsp-stdin-stdout", "1"),
        *("--enduser-client-version", "hearth-tests"),
        "--ast",
        "--logs-stderr",
        *(["--basic-telemetry"] if reports else []),
    ]
    log_path = home / "log.txt"
    with log_path.open("ab") as log:
        agent = subprocess.Popen(
            command,
            env=_environment(home),
            cwd=home,
            stdin=subprocess.PIPE,  # it ends by itself when nobody holds the other side any more
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _wait_until_up(agent, client, log_path)
            yield client
        if reports:
            agent.communicate(timeout=_END_SECONDS)
    finally:
        agent.kill()
        agent.communicate(timeout=_END_SECONDS)


def _environment(home: Path) -> dict[str, str]:
    """What it would send to anybody else ends at a closed port of this host."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "TMPDIR": str(home),
        "HTTP_PROXY": _NOWHERE,
        "HTTPS_PROXY": _NOWHERE,
        "NO_PROXY": "127.0.0.1",
    }


def _wait_until_up(agent: subprocess.Popen[bytes], client: httpx.Client, log_path: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and agent.poll() is None:
        try:
            if client.get("/v1/ping").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(f"refact-lsp is not up.\n{log_path.read_text(errors='replace')[-3000:]}")
