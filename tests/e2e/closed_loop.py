"""One developer who goes on typing: a completion, a pause, the next."""

from __future__ import annotations

import threading
import time

from tests.e2e.running import Cluster

PAUSE_SECONDS = 0.2
NUM_TOKENS = 16


class ClosedLoop:
    """Asks from its start to its end; `seconds` has every answer's time, `failures` what failed."""

    def __init__(self, cluster: Cluster, model: str) -> None:
        self._cluster = cluster
        self._body = {"model": model, "prompt": "import os\n\ndef list_", "max_tokens": NUM_TOKENS}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def __enter__(self) -> ClosedLoop:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with self._cluster.client() as client:
            while not self._ended.wait(PAUSE_SECONDS):
                begun = time.monotonic()
                answer = client.post("/v1/completions", json=self._body)
                self.seconds.append(time.monotonic() - begun)
                if answer.status_code != 200 or not answer.json()["choices"]:
                    self.failures.append(f"{answer.status_code} {answer.text}")
