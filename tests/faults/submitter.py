"""`python -m tests.faults.submitter REDIS_URL LOG NAME...`: submitters that never give up.

Each name is a submitter with connections of its own. It enqueues as fast as it can, every job with
an idempotency key, and asks again with the same key when Redis did not answer. "KEY JOB_ID" is
written to LOG when the job was acknowledged and not before.
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

from services.cluster.errors import StoreUnavailable
from services.cluster.jobs.queue import JobQueue
from services.cluster.store.connection import Store
from tests.faults.worker import KIND

_START_SECONDS = 60.0


async def submit(redis_url: str, log: int, name: str) -> None:
    queue = JobQueue(await Store.connect(redis_url, wait_seconds=_START_SECONDS))
    for number in count():
        key = f"{name}/{number}"
        job_id = await accepted(queue, key)
        os.write(log, f"{key} {job_id}\n".encode())


async def accepted(queue: JobQueue, key: str) -> str:
    while True:
        try:
            return (await queue.enqueue(KIND, {"key": key}, idempotency_key=key)).job_id
        except StoreUnavailable:
            await asyncio.sleep(0)  # again at once: Redis is away for a moment only


async def main(redis_url: str, place: Path, names: list[str]) -> None:
    log = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with asyncio.TaskGroup() as tasks:
        for name in names:
            tasks.create_task(submit(redis_url, log, name))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
