"""Records of datasets: what the scans of a project made, and which one is in force."""

from __future__ import annotations

from collections.abc import Mapping

from services.cluster import project_scripts as scripts
from services.cluster.errors import LeaseLost, NotFound
from services.cluster.jobs.records import JobRecord
from services.cluster.project_records import DatasetRecord, SourceCounts
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys


class NotWanted(Exception):
    """What a dataset was made for is gone; nothing was recorded."""


class Datasets:
    """Every method raises StoreUnavailable while Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record(
        self, job: JobRecord, dataset: DatasetRecord, counts: Mapping[str, SourceCounts]
    ) -> None:
        """Puts the dataset of a scan's attempt in force, with what the scan saw of each source.

        Raises LeaseLost when another attempt runs, and NotWanted when the scan was cancelled.
        """
        flat = [part for pair in counts.items() for part in (pair[0], pair[1].model_dump_json())]
        answer = await self._store.run(
            scripts.RECORD_DATASET,
            [],
            [
                dataset.project_id,
                dataset.dataset_id,
                dataset.model_dump_json(),
                job.job_id,
                job.token,
                *flat,
            ],
        )
        if answer == 0:
            raise LeaseLost(f"{job.holder} lost scan {job.job_id}; it must stop its work.")
        if answer == scripts.GONE:
            raise NotWanted(f"Scan {job.job_id} was cancelled, or its project was deleted.")

    async def get(self, dataset_id: str) -> DatasetRecord:
        """Raises NotFound."""
        text = await self._store.field(Keys.DATASETS, dataset_id)
        if not text:
            raise NotFound(f"There is no dataset {dataset_id}.")
        return DatasetRecord.model_validate_json(text)

    async def ids(self, project_id: str, start: int = 0, count: int = -1) -> list[str]:
        """Newest first."""
        return await self._store.newest_ids(Keys.PROJECT_DATASETS.format(project_id), start, count)
