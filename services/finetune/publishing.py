"""From a checkpoint to an adapter that answers: artifact, record, deployments.

Every step can be repeated: the adapter's id follows from checkpoint and name, so an attempt that
was killed in between and the next one publish the same single adapter.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass

from services.cluster.artifacts.fences import Fence
from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import Conflict, NotFound
from services.cluster.jobs.records import JobRecord
from services.cluster.records import AdapterRecord, DeploymentRecord
from services.cluster.registry import ClusterView, Registry
from services.cluster.runs import PublishedAdapter, Runs
from services.finetune.checkpoints import Checkpoint, Checkpoints

_CONFIG = "adapter_config.json"
_FILES = (_CONFIG, "adapter_model.safetensors")


@dataclass(frozen=True)
class Candidate:
    """An adapter to be: `name` as clients will ask for it."""

    checkpoint: Checkpoint
    name: str
    model: str
    labels: Mapping[str, str]

    @property
    def adapter_id(self) -> str:
        """Readable, and the same for the same checkpoint and name."""
        text = f"{self.checkpoint.checkpoint_id}/{self.model}/{self.name}"
        readable = self.name.lstrip("._-") or "adapter"
        return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


class Publishing:
    def __init__(
        self, artifacts: ArtifactStore, checkpoints: Checkpoints, registry: Registry, runs: Runs
    ) -> None:
        self._artifacts = artifacts
        self._checkpoints = checkpoints
        self._registry = registry
        self._runs = runs

    async def renamed(self, candidate: Candidate) -> Candidate:
        """With a name that no other adapter has."""
        return free_candidate(candidate, await self._registry.view())

    async def make_artifact(self, candidate: Candidate, holder: JobRecord | None = None) -> None:
        """Replicas can load it by its id; nobody else knows of it yet.

        Raises LeaseLost when a run makes it that was taken over.
        """
        fence = Fence(holder.job_id, holder.token) if holder else None
        await asyncio.to_thread(self._make_artifact, candidate, fence)

    async def discard(self, candidate: Candidate, holder: JobRecord) -> None:
        """Takes away the artifact of one that its run did not publish.

        Raises LeaseLost, and leaves it, when the run was taken over: it may be the other's now.
        """
        if candidate.adapter_id not in (await self._registry.view()).adapters:
            fence = Fence(holder.job_id, holder.token)
            await asyncio.to_thread(self._discard, candidate.adapter_id, fence)

    async def publish(
        self,
        candidate: Candidate,
        better: bool | None,
        *,
        note: str = "",
        tags: tuple[str, ...] = (),
        holder: JobRecord | None = None,
    ) -> AdapterRecord:
        """Raises Conflict when another adapter of the model has the name.

        With the holder of a run: LeaseLost, and nothing is published, when it was taken over.
        """
        view = await self._registry.view()
        check_name_is_free(candidate, view)
        await self.make_artifact(candidate, holder)
        adapter_id, checkpoint = candidate.adapter_id, candidate.checkpoint
        known = view.adapters.get(adapter_id)
        if known is None or known.better_than_base != better:
            known = AdapterRecord(
                adapter_id=adapter_id,
                model=candidate.model,
                name=candidate.name,
                team_id=checkpoint.team_id,
                project_id=checkpoint.project_id,
                rank=await asyncio.to_thread(self._rank, adapter_id),
                created_at=known.created_at if known else time.time(),
                better_than_base=better,
            )
            await self._registry.put_adapter(known, holder)
        await self._runs.add_adapter(
            PublishedAdapter(
                adapter_id=adapter_id,
                run_id=checkpoint.run_id,
                checkpoint_id=checkpoint.checkpoint_id,
                note=note,
                tags=tags,
            )
        )
        return known

    async def serve(self, adapter: AdapterRecord) -> list[str]:
        """Makes the deployments of its base want it; their ids."""
        view = await self._registry.view()
        wanting = [d.deployment_id for d in view.deployments.values() if may_serve(d, adapter)]

        def add(record: DeploymentRecord) -> DeploymentRecord:
            if adapter.adapter_id in record.adapter_ids:
                return record
            adapter_ids = (*record.adapter_ids, adapter.adapter_id)
            return record.model_copy(update={"adapter_ids": adapter_ids, "updated_at": time.time()})

        for deployment_id in wanting:
            with contextlib.suppress(NotFound):  # deleted meanwhile
                await self._registry.change_deployment(deployment_id, add)
        return wanting

    def _discard(self, adapter_id: str, fence: Fence) -> None:
        with self._artifacts.fences.held(fence), contextlib.suppress(NotFound):
            self._artifacts.delete(ArtifactKind.ADAPTER, adapter_id)

    def _make_artifact(self, candidate: Candidate, fence: Fence | None) -> None:
        checkpoint = candidate.checkpoint
        folder = self._checkpoints.folder(checkpoint.checkpoint_id)
        with self._artifacts.draft(ArtifactKind.ADAPTER, candidate.adapter_id) as draft:
            for name in _FILES:
                shutil.copyfile(folder / name, draft.file(name))
            draft.publish(
                candidate.labels,
                project_id=checkpoint.project_id,
                team_id=checkpoint.team_id,
                fence=fence,
            )

    def _rank(self, adapter_id: str) -> int:
        folder = self._artifacts.path(ArtifactKind.ADAPTER, adapter_id)
        return int(json.loads((folder / _CONFIG).read_text())["r"])


def may_serve(deployment: DeploymentRecord, adapter: AdapterRecord) -> bool:
    """Deployments of the base, but those that belong to another team or project."""
    return (
        deployment.model == adapter.model
        and deployment.team_id in ("", adapter.team_id)
        and deployment.project_id in ("", adapter.project_id)
    )


def check_name_is_free(candidate: Candidate, view: ClusterView) -> None:
    for other in view.adapters.values():
        same = (other.model, other.name) == (candidate.model, candidate.name)
        if same and other.adapter_id != candidate.adapter_id:
            raise Conflict(
                f"{candidate.model} has another adapter named {candidate.name};"
                " choose another name.",
                param="name",
            )


def free_candidate(candidate: Candidate, view: ClusterView) -> Candidate:
    """With another name when its own is taken: a run that has trained for hours asks nobody."""
    checkpoint = candidate.checkpoint
    for ending in ("", f"-{checkpoint.step}", f"-{checkpoint.run_id.rpartition('-')[2]}"):
        name = f"{candidate.name[: 64 - len(ending)]}{ending}"
        renamed = Candidate(checkpoint, name, candidate.model, candidate.labels)
        try:
            check_name_is_free(renamed, view)
        except Conflict:
            continue
        return renamed
    raise Conflict(f"Every name like {candidate.name} is taken by another adapter.", param="name")
