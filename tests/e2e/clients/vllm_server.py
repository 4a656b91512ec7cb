"""vLLM's own server with the starter model, as a site may have run it before there was Hearth."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from services.inference.engines.environment import engine_environment
from tests.e2e.running import ROOT, free_port

MODEL = "ours/coder"
KEY = "key-of-the-cluster"
_START_SECONDS = 240.0


@contextmanager
def vllm_server(log: Path) -> Iterator[str]:
    """Its address, with /v1 at the end."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(ROOT / "services/inference/starter")),
        *("--served-model-name", MODEL, "--api-key", KEY),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--dtype", "float32", "--enforce-eager", "--max-num-seqs", "8"),
        *("--kv-cache-memory-bytes", str(2**28)),
    ]
    environment = {**os.environ, **engine_environment("cpu", (), 1)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        _wait_until_healthy(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-4000:]
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"vLLM did not start: {log.read_text()[-4000:]}")
