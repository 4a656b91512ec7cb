"""Downloads of this host: each is a job in the host's own lane, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from services.cluster.artifacts.disk_space import RESERVE_BYTES, ensure_space
from services.cluster.errors import Conflict, NotFound, OutOfDisk
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import (
    TERMINAL,
    JobKind,
    JobProgress,
    JobRecord,
    JobStatus,
)
from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.records import ModelRecord
from services.inference.models.catalogue import ORIGIN
from services.inference.weights.places import WeightsPlace
from services.inference.weights.words import being_downloaded

FROM_HUB = frozenset({"hub", ORIGIN})
_MAX_ATTEMPTS = 10


class WeightsState(StrEnum):
    ABSENT = "absent"
    DOWNLOADING = "downloading"
    PRESENT = "present"
    FAILED = "failed"


@dataclass(frozen=True)
class WeightsStatus:
    """Of a model on this host. `total_bytes` is 0 and `remaining_seconds` None while unknown.

    `detail` is a sentence: why it failed, or what the download waits for.
    """

    state: WeightsState
    present_bytes: int = 0
    total_bytes: int = 0
    remaining_seconds: float | None = None
    file: str = ""
    detail: str = ""

    @property
    def bytes_per_second(self) -> float:
        missing = self.total_bytes - self.present_bytes
        return missing / self.remaining_seconds if self.remaining_seconds else 0.0


class Downloads:
    """`queue` is of this host's lane. Raises StoreUnavailable while Redis is away.

    A model of the catalogue has no commit. The download of such a one asks the hub which it has
    now, judges that, and starts the download of it.
    """

    def __init__(
        self, queue: JobQueue, data_dir: Path, *, reserve_bytes: int = RESERVE_BYTES
    ) -> None:
        self._queue = queue
        self._data_dir = data_dir
        self._reserve_bytes = reserve_bytes
        self._starting = asyncio.Lock()

    def none_starts(self) -> asyncio.Lock:
        """Held: what was found unused is not fetched meanwhile."""
        return self._starting

    async def start(self, model: ModelRecord) -> JobRecord:
        """The download, also one that is open already. Raises OutOfDisk and Conflict."""
        if model.origin not in FROM_HUB:
            raise Conflict(
                f"{model.name} did not come from a hub (it is of origin {model.origin}), so its"
                " weights cannot be downloaded; upload them, or put its folder back."
            )
        async with self._starting:
            return await self._start(model)

    async def _start(self, model: ModelRecord) -> JobRecord:
        known = await self.job_of(model)
        if known and known.status not in TERMINAL:
            return known
        if model.commit:
            arrived = await asyncio.to_thread(self._arrived_bytes, model)
            ensure_space(
                self._place(model).part, model.weights_bytes - arrived, self._reserve_bytes
            )
        if known:
            await self._queue.forget(known.job_id)
        payload = pb.DownloadJob(model=model.name, hub_id=model.hub_id, commit=model.commit)
        return await self._queue.enqueue(
            JobKind.DOWNLOAD,
            MessageToDict(payload, preserving_proto_field_name=True),
            idempotency_key=_key(model),
            max_attempts=_MAX_ATTEMPTS,
        )

    async def job_of(self, model: ModelRecord) -> JobRecord | None:
        """The newest of this commit."""
        return await self._queue.known(JobKind.DOWNLOAD, _key(model))

    async def open_job(self, model: ModelRecord) -> JobRecord | None:
        job = await self.job_of(model)
        return job if job and job.status not in TERMINAL else None

    async def status(self, model: ModelRecord) -> WeightsStatus:
        """Of a model that Hearth keeps the weights of."""
        if await asyncio.to_thread(self._is_whole, model):
            total = model.weights_bytes
            return WeightsStatus(WeightsState.PRESENT, total, total)
        job = await self.job_of(model)
        if job and job.status not in TERMINAL:
            return _underway(job, model)
        arrived = await asyncio.to_thread(self._arrived_bytes, model)
        total = max(model.weights_bytes, arrived)
        if job and job.status is JobStatus.FAILED:
            return WeightsStatus(WeightsState.FAILED, arrived, total, detail=job.error)
        return WeightsStatus(WeightsState.ABSENT, arrived, total)

    async def watch(self, model: ModelRecord) -> AsyncGenerator[WeightsStatus]:
        """Starts or joins the download; what it is now, then each change until it ends well.

        Raises Conflict when it fails or is cancelled.
        """
        if (now := await self.status(model)).state is WeightsState.PRESENT:
            yield now
            return
        job = await self.start(model)
        now = _underway(job, model)
        yield now
        async for event in self._queue.events(job.job_id):
            if event.event == JobStatus.FAILED:
                raise Conflict(event.data)
            if event.event == JobStatus.CANCELLED:
                raise Conflict(f"The download of {model.name} was cancelled.")
            if event.event == JobStatus.SUCCEEDED and model.commit:
                yield await self.status(model)
            elif event.event == "progress":
                progress = JobProgress.model_validate_json(event.data)
                if progress.num_done > now.present_bytes:  # the first events are older
                    yield (now := _told(progress))

    async def cancel(self, model: ModelRecord) -> None:
        """What is here is kept. Raises NotFound when none is open."""
        job = await self.open_job(model)
        if job is None:
            raise NotFound(f"No download of {model.name} is open on this host.")
        await self._queue.cancel(job.job_id)

    async def forget(self, model: ModelRecord) -> None:
        """Its weights are absent and nobody asked for them. Raises Conflict while one is open."""
        job = await self.job_of(model)
        if job:
            await self._queue.forget(job.job_id)

    async def hindrance(self, model: ModelRecord | None) -> tuple[str, bool]:
        """What a replica waits for, as a sentence, "" for nothing; and whether it will come.

        Starts the download of weights that nobody has asked for yet.
        """
        if model is None or model.origin not in FROM_HUB:
            return "", False
        status = await self.status(model)
        if status.state is WeightsState.PRESENT:
            return "", False
        if status.state is WeightsState.FAILED:
            return f"The weights of {model.name} could not be downloaded: {status.detail}", False
        job = await self.job_of(model)
        if job and job.status is JobStatus.CANCELLED:
            return f"The download of the weights of {model.name} was cancelled; start it.", False
        try:
            status = _underway(await self.start(model), model)
        except OutOfDisk as error:
            return error.message, False
        return being_downloaded(
            model.name,
            status.present_bytes,
            status.total_bytes,
            status.remaining_seconds,
            status.detail,
        ), True

    def _is_whole(self, model: ModelRecord) -> bool:
        return bool(model.commit) and self._place(model).is_whole

    def _arrived_bytes(self, model: ModelRecord) -> int:
        return self._place(model).arrived_bytes() if model.commit else 0

    def _place(self, model: ModelRecord) -> WeightsPlace:
        return WeightsPlace.of(self._data_dir, model)


def payload_of(payload: Mapping[str, Any]) -> pb.DownloadJob:
    return ParseDict(dict(payload), pb.DownloadJob(), ignore_unknown_fields=True)


def _key(model: ModelRecord) -> str:
    return f"{model.name}@{model.commit}"


def _underway(job: JobRecord, model: ModelRecord) -> WeightsStatus:
    status = _told(job.progress or JobProgress(num_total=model.weights_bytes))
    if job.status is JobStatus.RUNNING:
        return status
    return replace(status, remaining_seconds=None, detail=job.error)


def _told(progress: JobProgress) -> WeightsStatus:
    return WeightsStatus(
        WeightsState.DOWNLOADING,
        progress.num_done,
        progress.num_total,
        progress.remaining_seconds,
        progress.message,
    )
