"""Runs as jobs of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobRecord
from services.cluster.jobs.worker import Worker
from services.finetune.attempt import Attempt
from services.finetune.hold import RunHold
from services.finetune.workshop import Workshop


def run_worker(queue: JobQueue, workshop: Workshop, holder: str) -> Worker[RunHold]:
    """`holder` names it in the records of its jobs."""

    async def hold_of(job: JobRecord) -> RunHold:
        return RunHold(queue, workshop.runs, job, await workshop.runs.state(job.job_id))

    async def work(hold: RunHold) -> Mapping[str, Any]:
        job, fences = hold.job, workshop.fences
        try:
            await asyncio.to_thread(fences.raise_to, job.job_id, job.token)
            return await Attempt(hold, workshop).run()
        finally:
            hold.tell_state(phase=None, device_ids=())

    return Worker(queue, JobKind.RUN, hold_of, work, holder)
