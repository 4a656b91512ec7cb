"""What Prometheus reads of a replica beside vLLM's own figures, which vLLM adds by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.inference.engines.base import Engine
from services.inference.engines.generation import Delta, EngineStats

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_DEPLOYMENT = ["deployment"]

FIRST_TOKEN_SECONDS = Histogram(
    "hearth_replica_first_token_seconds",
    "Time from a request's arrival at its replica to its first token.",
    _DEPLOYMENT,
    buckets=_SECONDS,
)
INTER_TOKEN_SECONDS = Histogram(
    "hearth_replica_inter_token_seconds",
    "Time from token to token; of several in one message, their share of it.",
    _DEPLOYMENT,
    buckets=_SECONDS,
)
QUEUE_SECONDS = Histogram(
    "hearth_replica_queue_seconds",
    "Time that a generation which has ended waited for a place in the batch.",
    _DEPLOYMENT,
    buckets=_SECONDS,
)
TOKENS = Counter(
    "hearth_replica_tokens",
    "Tokens of generations that have ended: prompt, cached (those of them that the prefix cache"
    " had), generated, scored.",
    [*_DEPLOYMENT, "kind"],
)
ADAPTER_LOADS = Counter(
    "hearth_replica_adapter_loads",
    "Adapters that the engine was asked to load, by result.",
    [*_DEPLOYMENT, "result"],
)
ADAPTER_LOAD_SECONDS = Histogram(
    "hearth_replica_adapter_load_seconds",
    "Time that the engine took to load an adapter.",
    _DEPLOYMENT,
    buckets=_SECONDS,
)


class GenerationMeter:
    """Of one generation: begins when it arrives, is shown each delta as it leaves the engine."""

    def __init__(self, deployment: str, now: Callable[[], float] = time.monotonic) -> None:
        self._deployment = deployment
        self._now = now
        self._last = now()
        self._has_token = False
        self._inter_token = INTER_TOKEN_SECONDS.labels(deployment)

    def show(self, delta: Delta) -> None:
        if num_tokens := len(delta.token_ids):
            self._show_tokens(num_tokens)
        finish = delta.finish
        if finish is None:
            return
        QUEUE_SECONDS.labels(self._deployment).observe(finish.queue_seconds)
        for kind, number in (
            ("prompt", finish.num_prompt_tokens),
            ("cached", finish.num_cached_tokens),
            ("generated", finish.num_generated_tokens),
        ):
            TOKENS.labels(self._deployment, kind).inc(number)

    def _show_tokens(self, num_tokens: int) -> None:
        now = self._now()
        seconds, self._last = now - self._last, now
        if not self._has_token:
            self._has_token = True
            FIRST_TOKEN_SECONDS.labels(self._deployment).observe(seconds)
            return
        for _ in range(num_tokens):
            self._inter_token.observe(seconds / num_tokens)


class EngineFigures(Collector):
    """The engine's gauges, as they are when they are read."""

    def __init__(self, deployment: str, engine: Callable[[], Engine | None]) -> None:
        self._deployment = deployment
        self._engine = engine

    def collect(self) -> Iterator[GaugeMetricFamily]:
        engine = self._engine()
        stats = engine.stats() if engine else EngineStats()
        for name, description, value in (
            ("running", "Requests in the batch, scored texts among them.", stats.num_running),
            ("waiting", "Requests that wait for a place in the batch.", stats.num_waiting),
            ("kv_cache_usage", "Share of the key-value cache in use.", stats.kv_cache_usage),
            (
                "loaded_adapters",
                "Adapters that answer.",
                len(engine.adapters.loaded) if engine else 0,
            ),
        ):
            family = GaugeMetricFamily(f"hearth_replica_{name}", description, labels=_DEPLOYMENT)
            family.add_metric([self._deployment], value)
            yield family
