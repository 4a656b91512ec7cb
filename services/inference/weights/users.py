"""What uses the weights of a model, so that they cannot be taken away under it."""

from __future__ import annotations

from services.cluster.errors import Conflict
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import TERMINAL, JobKind, JobRecord
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.inference.weights.downloads import Downloads

_PAGE = 50


class ModelUsers:
    """`queue` is that of runs, which has no lane."""

    def __init__(self, registry: Registry, queue: JobQueue, downloads: Downloads) -> None:
        self._registry = registry
        self._queue = queue
        self._downloads = downloads

    async def check_unused(self, model: ModelRecord, to_what: str) -> None:
        """Raises Conflict, naming the users; `to_what` ends "… first: it cannot"."""
        deployments = (await self._registry.view()).deployments.values()
        users = [f"deployment {d.deployment_id}" for d in deployments if d.model == model.name]
        users += [f"run {job.job_id}" for job in await self._open_runs() if _trains(job, model)]
        if users:
            raise Conflict(
                f"{model.name} is used by {', '.join(users)}; end that first: it cannot {to_what}."
            )
        await self.check_no_download(model, to_what)

    async def check_no_download(self, model: ModelRecord, to_what: str) -> None:
        """Raises Conflict while one is open on this host."""
        if await self._downloads.open_job(model):
            raise Conflict(
                f"{model.name} is being downloaded; cancel the download first: it cannot {to_what}."
            )

    async def _open_runs(self) -> list[JobRecord]:
        census = await self._queue.census(JobKind.RUN)
        missing = census.num_queued + census.num_waiting + census.num_running
        found: list[JobRecord] = []
        start = 0
        while len(found) < missing:
            page = await self._queue.history(JobKind.RUN, start, _PAGE)
            found += [job for job in page if job.status not in TERMINAL]
            start += _PAGE
            if len(page) < _PAGE:
                break
        return found


def _trains(job: JobRecord, model: ModelRecord) -> bool:
    spec = job.payload.get("spec")
    return isinstance(spec, dict) and spec.get("model") == model.name
