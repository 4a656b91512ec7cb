"""Downloads as jobs of a worker: the one of this host, for its lane."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.cluster.artifacts.disk_space import RESERVE_BYTES
from services.cluster.jobs.hold import Hold
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobRecord
from services.cluster.jobs.worker import Worker
from services.inference.weights.download import Download
from services.inference.weights.downloads import Downloads, payload_of
from services.inference.weights.hub import Hub
from services.inference.weights.hub_models import HubModels
from services.inference.weights.places import WeightsPlace
from services.inference.weights.transfer import Patience


def download_worker(
    queue: JobQueue,
    hub: Hub,
    hub_models: HubModels,
    downloads: Downloads,
    data_dir: Path,
    holder: str,
    *,
    patience: Patience,
    reserve_bytes: int = RESERVE_BYTES,
) -> Worker[Hold]:
    """`holder` names it in the records of its jobs."""

    async def hold_of(job: JobRecord) -> Hold:
        return Hold(queue, job)

    async def settle(name: str) -> dict[str, str]:
        model = await hub_models.settle(name)
        return {"continued_by": (await downloads.start(model)).job_id}

    async def work(hold: Hold) -> Mapping[str, Any]:
        payload = payload_of(hold.job.payload)
        if not payload.commit:
            return await hold.unless_interrupted(settle(payload.model))
        place = WeightsPlace(data_dir, payload.model, payload.commit)
        if await asyncio.to_thread(lambda: place.is_whole):
            return {"weights_bytes": await asyncio.to_thread(place.arrived_bytes)}
        download = Download(hub, hold.tell, patience=patience, reserve_bytes=reserve_bytes)
        running = download.run(payload.hub_id, place, hold.guard)
        return {"weights_bytes": await hold.unless_interrupted(running)}

    return Worker(queue, JobKind.DOWNLOAD, hold_of, work, holder)
