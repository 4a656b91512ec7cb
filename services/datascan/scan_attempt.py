"""One attempt of a scan, from its sources to a dataset that is in force."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf.json_format import MessageToDict

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.datasets import Datasets
from services.cluster.errors import NotFound
from services.cluster.jobs.queue import JobQueue
from services.cluster.project_records import (
    DatasetChange,
    DatasetLanguage,
    DatasetPart,
    DatasetRecord,
    DatasetSource,
    SourceCounts,
    SourceRecord,
)
from services.cluster.projects import Projects
from services.cluster.sources import Sources
from services.datascan import tallies
from services.datascan.dataset_files import Belonging, change_between, publish_dataset
from services.datascan.loss_memory import LossMemory, losses_place
from services.datascan.readers import ReadLimits
from services.datascan.replicas import Replicas
from services.datascan.scan_hold import ScanHold
from services.datascan.scan_payload import filters_of, scan_job
from services.datascan.scan_progress import Phase
from services.datascan.settings import DatascanSettings
from services.datascan.splits import assign_splits
from services.datascan.stage_one import Input, in_order, stage_one
from services.datascan.stage_two import reuse_losses, stage_two
from services.datascan.verdict_rows import Split
from services.datascan.verdict_store import VerdictStore, delete_scan, scan_place


@dataclass(frozen=True)
class Workplace:
    """What every attempt uses."""

    settings: DatascanSettings
    jobs: JobQueue
    projects: Projects
    sources: Sources
    datasets: Datasets
    artifacts: ArtifactStore
    replicas: Replicas


class ScanAttempt:
    def __init__(self, place: Workplace, hold: ScanHold) -> None:
        self._place = place
        self._hold = hold
        self._job = hold.job
        self._wanted = scan_job(hold.job.payload)
        self._filters = filters_of(self._wanted.filters)
        self._progress = hold.scan

    async def run(self) -> dict[str, Any]:
        """The job's result, after the dataset was put in force.

        Raises LeaseLost, Interrupted and NotWanted when the attempt may not publish,
        EngineUnavailable when another attempt may succeed. Waits while Redis is away.
        """
        inputs = await self._inputs()
        seen = [(part.source.source_id, part.source.artifact_id) for part in inputs]
        names = [part.source.name for part in inputs]
        place = scan_place(self._place.settings.data_dir, self._job.job_id)
        verdicts = await self._progress.in_thread(
            lambda: VerdictStore(place, json.dumps([seen, names]), self._job.token)
        )
        try:
            await self._progress.in_thread(lambda: self._filter(inputs, verdicts))
            skipped = await self._score(verdicts)
            dataset = await self._publish(inputs, verdicts, skipped)
            counts = await self._progress.in_thread(lambda: tallies.by_source(verdicts.database))
            seen_of = {
                source_id: SourceCounts(
                    scan_id=self._job.job_id, num_files=num, num_accepted_files=accepted
                )
                for source_id, (num, accepted) in counts.items()
            }
            await self._hold.patiently(
                lambda: self._place.datasets.record(self._job, dataset, seen_of)
            )
            await self._progress.in_thread(verdicts.settle)
            await self._forget_old_scans()
        finally:
            verdicts.close()
        return {"dataset_id": dataset.dataset_id, "loss_skipped_reason": skipped}

    async def _forget_old_scans(self) -> None:
        settings, project_id = self._place.settings, self._wanted.project_id
        old = partial(self._place.projects.scan_ids, project_id, settings.kept_scans)
        for scan_id in await self._hold.patiently(old):
            await asyncio.to_thread(delete_scan, settings.data_dir, scan_id)

    async def _inputs(self) -> list[Input]:
        """A source that was deleted meanwhile is left out."""
        found: list[SourceRecord] = []
        for source_id in self._wanted.source_ids:
            try:
                get = partial(self._place.sources.get, source_id)
                found.append(await self._hold.patiently(get))
            except NotFound:
                continue
        artifacts = self._place.artifacts
        return [
            Input(source, artifacts.path(ArtifactKind.SOURCE, source.artifact_id) / "content")
            for source in in_order(found)
        ]

    def _filter(self, inputs: list[Input], verdicts: VerdictStore) -> None:
        settings, progress = self._place.settings, self._progress
        limits = ReadLimits(
            max_file_bytes=self._filters.max_file_bytes,
            max_files=settings.max_source_files,
            max_unpacked_bytes=settings.max_unpacked_bytes,
        )
        progress.begin(
            Phase.FILTERING,
            sum(part.source.num_entries for part in inputs),
            verdicts.last_number(),
        )
        for _ in stage_one(inputs, verdicts, self._filters, limits):
            progress.num_judged_files += 1
            progress.step()

    async def _score(self, verdicts: VerdictStore) -> str:
        """Why stage 2 was left out, as a sentence; "" when it was not."""
        model = self._wanted.model
        if not model:
            return "The project has no base model to ask for losses."
        if not self._place.replicas.ready(model):
            return f"No replica of {model} was ready."
        progress, replicas = self._progress, self._place.replicas
        progress.begin(Phase.SCORING, await progress.in_thread(verdicts.num_accepted))
        memory = await progress.in_thread(partial(self._memory, replicas.scorer(model)))
        try:
            await progress.in_thread(lambda: self._reuse(verdicts, memory))
            async for num_files in stage_two(
                model, verdicts, replicas, memory, self._filters, progress
            ):
                progress.num_scored_files += num_files
                progress.step(num_files)
            kept = self._place.settings.kept_scans
            await progress.in_thread(lambda: memory.forget_unseen(kept))
        finally:
            memory.close()
        return ""

    def _memory(self, scorer: str) -> LossMemory:
        place = losses_place(self._place.settings.data_dir, self._wanted.project_id)
        memory = LossMemory(place, self._job.job_id, scorer)
        if self._wanted.from_scratch:
            memory.clear()
        return memory

    def _reuse(self, verdicts: VerdictStore, memory: LossMemory) -> None:
        for num_files in reuse_losses(verdicts, memory, self._filters):
            self._progress.num_reused_files += num_files
            self._progress.step(num_files)

    async def _publish(
        self, inputs: list[Input], verdicts: VerdictStore, skipped: str
    ) -> DatasetRecord:
        get = partial(self._place.projects.get, self._wanted.project_id)
        project = await self._hold.patiently(get)
        loop = asyncio.get_running_loop()

        def guard() -> None:
            asyncio.run_coroutine_threadsafe(self._hold.confirm(), loop).result()
            self._hold.check()

        def write() -> DatasetRecord:
            sources = {part.source.source_id: part.source for part in inputs}
            splits = {source_id: source.split for source_id, source in sources.items()}
            assign_splits(verdicts, splits, self._filters.test_share)
            self._progress.begin(Phase.WRITING, verdicts.num_accepted())
            wanted, job = self._wanted, self._job
            whose = Belonging(job.job_id, job.token, wanted.project_id, wanted.team_id)
            labels = {"scan_id": self._job.job_id, "model": "" if skipped else self._wanted.model}
            artifacts = self._place.artifacts
            dataset_id = publish_dataset(
                verdicts, artifacts, whose, labels, guard, self._progress.step
            )
            previous, change = project.latest_dataset_id, None
            if previous and previous != dataset_id:
                with contextlib.suppress(NotFound):  # the dataset before was deleted
                    change = change_between(verdicts, artifacts, previous, dataset_id)
            return self._record(dataset_id, verdicts, list(sources.values()), skipped, change)

        return await self._progress.in_thread(write)

    def _record(
        self,
        dataset_id: str,
        verdicts: VerdictStore,
        sources: list[SourceRecord],
        skipped: str,
        change: DatasetChange | None,
    ) -> DatasetRecord:
        db = verdicts.database
        counts = tallies.by_source(db)
        return DatasetRecord(
            dataset_id=dataset_id,
            project_id=self._wanted.project_id,
            team_id=self._wanted.team_id,
            scan_id=self._job.job_id,
            model="" if skipped else self._wanted.model,
            loss_skipped_reason=skipped,
            filters=MessageToDict(self._wanted.filters),
            sources=tuple(
                DatasetSource(
                    source_id=source.source_id,
                    name=source.name,
                    revision=source.sha256,
                    num_files=counts.get(source.source_id, (0, 0))[1],
                )
                for source in sorted(sources, key=lambda source: source.name)
            ),
            train=_part(tallies.half_tally(db, Split.TRAIN)),
            test=_part(tallies.half_tally(db, Split.TEST)),
            num_duplicate_files=tallies.tallies(db).num_duplicate_files,
            languages=tuple(
                DatasetLanguage(language=language, num_files=num, size_bytes=size)
                for language, num, size in tallies.by_accepted_language(db)
            ),
            change=change,
            created_at=time.time(),
        )


def _part(half: tallies.HalfTally) -> DatasetPart:
    return DatasetPart(
        num_files=half.num_files,
        size_bytes=half.text_bytes,
        num_tokens=half.num_tokens,
        mean_loss=half.mean_loss,
    )
