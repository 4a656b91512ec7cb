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
WRITTEN_CHARACTERS = Counter(
    "hearth_written_characters",
    "Characters written in Refact's plugins, as they report them, by robot and by human.",
    ["by", "model", "adapter", "language"],
)
WRITTEN_COMPLETIONS = Counter(
    "hearth_written_completions",
    "Completions accepted in Refact's plugins, as they report them.",
    ["model", "adapter", "language"],
)
REMAINING_COMPLETIONS = Counter(
    "hearth_remaining_completions",
    "Completions accepted in Refact's plugins, by the percentage left of them after a time.",
    ["model", "adapter", "after_seconds", "remaining"],
)
PLUGIN_CALLS = Counter(
    "hearth_plugin_calls",
    "What the agents of Refact's plugins asked of servers, as they report it.",
    ["scope", "result"],
)
PLUGIN_SNIPPETS = Counter(
    "hearth_plugin_snippets", "Completions whose text Refact's plugins sent; it is not kept."
)
REPOSITORY_CONTEXT = Counter(
    "hearth_repository_context",
    "What came of asking for files of a repository: given, empty, late, failed.",
    ["outcome"],
)
OPEN_GENERATIONS = Gauge("hearth_open_generations", "Generations that run now.")
DISCONNECTS = Counter("hearth_disconnects", "Clients that went away before their answer was whole.")
PROVIDER_REQUESTS = Counter(
    "hearth_provider_requests",
    "Requests to servers elsewhere, by how they ended: answered, failed, cancelled.",
    ["provider", "outcome"],
)
MASKED_SECRETS = Counter(
    "hearth_masked_secrets", "Secrets that were masked in what left the site.", ["kind"]
)
BREAKERS = Gauge(
    "hearth_breakers",
    "Replicas and providers that are asked nothing for a while (open), or one thing (half_open).",
    ["state"],
)
REFUSED = Counter(
    "hearth_refused",
    "Requests that were sent to no replica: all are full, or none answers (gone).",
    ["model", "reason"],
)
