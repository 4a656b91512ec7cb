"""What vLLM itself has counted in the process of a replica: nothing of ours stands between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.running import Cluster
from tests.e2e.watching import until


@dataclass(frozen=True)
class EngineTokens:
    prompt: float
    generated: float

    def __sub__(self, other: EngineTokens) -> EngineTokens:
        return EngineTokens(self.prompt - other.prompt, self.generated - other.generated)


class EngineCounters:
    """`url` is where its process tells Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url

    @classmethod
    def of_deployment(cls, cluster: Cluster, deployment_id: str) -> EngineCounters:
        return cls(_metrics_url(cluster, f"--replica-id={deployment_id}-"))

    def tokens(self) -> EngineTokens:
        return EngineTokens(
            self._sum("vllm:prompt_tokens_total"), self._sum("vllm:generation_tokens_total")
        )

    @contextmanager
    def grow_by(self, told: list[EngineTokens]) -> Iterator[None]:
        """What is done within grows the counters by exactly the sum of what `told` holds then."""
        before = self.tokens()
        yield
        wanted = EngineTokens(sum(t.prompt for t in told), sum(t.generated for t in told))
        # The engine counts after it has handed out the tokens.
        until(lambda: (self.tokens() - before).generated >= wanted.generated, 10)
        assert self.tokens() - before == wanted

    def _sum(self, name: str) -> float:
        return sum(
            sample.value
            for family in text_string_to_metric_families(httpx.get(self._url).text)
            for sample in family.samples
            if sample.name == name
        )


def _metrics_url(cluster: Cluster, mark: str) -> str:
    """A replica listens for RPCs and for Prometheus; only the latter speaks HTTP/1."""
    replica = next(
        process
        for process in cluster.processes()
        if any(argument.startswith(mark) for argument in process.cmdline())
    )
    for connection in replica.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN:
            url = f"http://127.0.0.1:{connection.laddr.port}/metrics"
            try:
                if "vllm:" in httpx.get(url).text:
                    return url
            except httpx.TransportError:
                continue
    raise LookupError(f"no metrics of {mark}")
