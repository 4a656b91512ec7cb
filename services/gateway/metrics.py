"""What the gateway counts. No label holds anything that a client made up."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

HTTP_SECONDS = Histogram(
    "hearth_http_seconds",
    "Time from a request's head to the end of its answer.",
    ["route", "method", "status"],
    buckets=_SECONDS,
)
FIRST_TOKEN_SECONDS = Histogram(
    "hearth_first_token_seconds",
    "Time from sending a request to its replica to its first message.",
    ["model"],
    buckets=_SECONDS,
)
TOKENS = Counter("hearth_tokens", "Tokens of prompts and of answers.", ["model", "kind"])
COMPLETION_EVENTS = Counter(
    "hearth_completion_events",
    "What became of completions in editors: shown, accepted, accepted_line, dismissed.",
    ["model", "adapter", "event"],
)
REPOSITORY_CONTEXT = Counter(
    "hearth_repository_context",
    "What came of asking for files of a repository: given, empty, late, failed.",
    ["outcome"],
)
OPEN_GENERATIONS = Gauge("hearth_open_generations", "Generations that run now.")
DISCONNECTS = Counter("hearth_disconnects", "Clients that went away before their answer was whole.")
