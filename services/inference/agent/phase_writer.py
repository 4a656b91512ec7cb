"""Writes into each deployment how it is. One agent of the cluster does it, for all hosts."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial

from services.cluster.errors import NotFound
from services.cluster.records import DeploymentPhase, DeploymentRecord, ReplicaRecord
from services.cluster.registry import ClusterView, Registry
from services.inference.agent.phases import deployment_phase


class PhaseWriter:
    def __init__(self, registry: Registry, process_id: str) -> None:
        self._registry = registry
        self._process_id = process_id

    def leads(self, view: ClusterView) -> bool:
        """Whether this agent is the one that writes.

        Two that believe so for a moment write the same, or one of them a little later the newer.
        """
        agents = [p.process_id for p in view.processes.values() if p.service == "inference"]
        return min(agents, default="") == self._process_id

    async def write(
        self,
        deployments: Mapping[str, DeploymentRecord],
        replicas: Mapping[str, ReplicaRecord],
        waits: Mapping[str, str],
    ) -> None:
        """Writes only what has changed. `waits` are those of `deployment_phase`."""
        for deployment in deployments.values():
            phase, detail = deployment_phase(deployment, replicas, waits)
            if (phase, detail) != (deployment.phase, deployment.detail):
                answer = partial(_answered, phase=phase, detail=detail)
                with contextlib.suppress(NotFound):  # deleted meanwhile
                    await self._registry.change_deployment(deployment.deployment_id, answer)


def _answered(record: DeploymentRecord, phase: DeploymentPhase, detail: str) -> DeploymentRecord:
    return record.model_copy(update={"phase": phase, "detail": detail})
