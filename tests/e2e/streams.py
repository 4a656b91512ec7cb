"""Developers who complete all the time: streams that follow one another."""

from __future__ import annotations

import threading

from tests.e2e.running import Cluster

DONE = "data: [DONE]"


class Streams:
    """Streams of a model that follow one another until told to stop; what failed is kept."""

    def __init__(self, cluster: Cluster, model: str, num_streams: int) -> None:
        self._cluster = cluster
        self._body = {"model": model, "prompt": "def f(", "max_tokens": 32, "stream": True}
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(num_streams)]
        self.num_done = 0
        self.failures: list[str] = []

    def __enter__(self) -> Streams:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with self._cluster.client() as client:
            while not self._ended.is_set():
                with client.stream("POST", "/v1/completions", json=self._body) as response:
                    text = "".join(response.iter_text())
                # What the model says may have the word in it: an error is an event of its own.
                if response.status_code != 200 or 'data: {"error"' in text or DONE not in text:
                    self.failures.append(f"{response.status_code} {text[-300:]}")
                self.num_done += 1
