"""What Prometheus hears of the replicas of this host."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable

from prometheus_client import Counter, Gauge

from services.cluster.records import ReplicaRecord

REPLICA_ENDS = Counter(
    "hearth_replica_ends", "Replicas that ended without having been told to.", ["deployment"]
)
REPLICA_RESTARTS = Counter(
    "hearth_replica_restarts", "Replicas that were started again after they ended.", ["deployment"]
)
_REPLICAS = Gauge("hearth_replicas", "Replicas of this host.", ["deployment", "phase"])


def count_replicas(replicas: Iterable[ReplicaRecord], host_id: str) -> None:
    """Those of other hosts are left out: their agents count them."""
    counts = Counts((r.deployment_id, r.phase.value) for r in replicas if r.host_id == host_id)
    _REPLICAS.clear()
    for labels, number in counts.items():
        _REPLICAS.labels(*labels).set(number)
