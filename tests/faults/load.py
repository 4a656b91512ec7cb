"""`python -m tests.faults.load DATA_DIR LOG [artifacts] [unsynced]`: a load that tells its results.

Enqueues jobs, and publishes artifacts where it is told to, until it is killed. Each id is written
to LOG, on another file system, when it was acknowledged and not before. With "unsynced" this
process does without fsync(2), to show that the test would notice.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind
from services.cluster.settings import own_redis_url
from services.cluster.store.connection import Store

_NUM_ENQUEUERS = 4
# The volume is small: at most 800 jobs a second, and so many artifacts.
_PAUSE_SECONDS = 0.005
_NUM_KEPT_ARTIFACTS = 100


class Log:
    def __init__(self, place: Path) -> None:
        self._file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def acknowledged(self, kind: str, identity: str) -> None:
        os.write(self._file, f"{kind} {identity}\n".encode())


async def enqueue(queue: JobQueue, log: Log) -> None:
    while True:
        job = await queue.enqueue(JobKind.SCAN, {"text": "x" * 200})
        log.acknowledged("job", job.job_id)
        await asyncio.sleep(_PAUSE_SECONDS)


def publish(store: ArtifactStore, log: Log, number: int) -> None:
    """Sizes from a few bytes to some blocks; the older ones make room."""
    artifact_id = f"artifact-{number:06d}"
    with store.draft(ArtifactKind.DATASET, artifact_id) as draft:
        for index in range(3):
            text = f"{artifact_id} {index} ".encode()
            draft.file(f"deep/er/{index}.bin").write_bytes(text * (1 + number * 97 % 2000))
        draft.publish({"number": str(number)})
    log.acknowledged("artifact", artifact_id)
    if number >= _NUM_KEPT_ARTIFACTS:
        old = f"artifact-{number - _NUM_KEPT_ARTIFACTS:06d}"
        log.acknowledged("deleting", old)
        store.delete(ArtifactKind.DATASET, old)


async def publish_all(store: ArtifactStore, log: Log) -> None:
    number = 0
    while True:
        await asyncio.to_thread(publish, store, log, number)
        number += 1


async def main(data_dir: Path, log: Log, *, artifacts: bool) -> None:
    store = await Store.connect(own_redis_url(data_dir))
    async with asyncio.TaskGroup() as tasks:
        for _ in range(_NUM_ENQUEUERS):
            tasks.create_task(enqueue(JobQueue(store), log))
        if artifacts:
            tasks.create_task(publish_all(ArtifactStore(data_dir), log))


def no_sync(descriptor: int) -> None:
    del descriptor


if __name__ == "__main__":
    if "unsynced" in sys.argv:
        os.fsync = no_sync  # type: ignore[assignment]
    asyncio.run(main(Path(sys.argv[1]), Log(Path(sys.argv[2])), artifacts="artifacts" in sys.argv))
