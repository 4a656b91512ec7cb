"""What is measured of jobs."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

CLAIMED = Counter("hearth_jobs_claimed", "Jobs that this process has claimed.", ["kind"])
ENDED = Counter("hearth_jobs_ended", "Jobs that this process has ended.", ["kind", "status"])
LOST = Counter("hearth_jobs_lost", "Jobs put back because their worker was lost.", ["kind"])
OPEN = Gauge(
    "hearth_jobs_open", "Jobs by where they are: queued, waiting, running.", ["kind", "status"]
)
OLDEST = Gauge(
    "hearth_oldest_queued_job_seconds",
    "How long the oldest job that may be claimed waits.",
    ["kind"],
)
