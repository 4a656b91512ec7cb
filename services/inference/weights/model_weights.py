"""Everything of an agent that has to do with weights, and what of it runs in the background."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from services.cluster.jobs.hold import Hold
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind
from services.cluster.jobs.sweeper import Sweeper
from services.cluster.jobs.worker import Worker
from services.cluster.registry import Registry
from services.cluster.store.connection import Store
from services.inference.settings import InferenceSettings
from services.inference.weights.download_worker import download_worker
from services.inference.weights.downloads import Downloads
from services.inference.weights.hub import Hub
from services.inference.weights.hub_models import HubModels
from services.inference.weights.kept_weights import KeptWeights
from services.inference.weights.outline import Outlines
from services.inference.weights.places import forget_uploads
from services.inference.weights.transfer import Patience
from services.inference.weights.uploads import Uploads
from services.inference.weights.users import ModelUsers


@dataclass(frozen=True)
class ModelWeights:
    hub: Hub
    hub_models: HubModels
    kept: KeptWeights
    downloads: Downloads
    uploads: Uploads
    worker: Worker[Hold]
    sweeper: Sweeper

    async def run(self) -> None:
        """Downloads what is asked for, until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.worker.run(), name="download-worker")
            tasks.create_task(self.sweeper.run(), name="download-sweeper")

    async def close(self) -> None:
        await self.hub.close()


def model_weights(
    store: Store,
    registry: Registry,
    settings: InferenceSettings,
    holder: str,
    *,
    patience: Patience = Patience(),  # noqa: B008 frozen
) -> ModelWeights:
    """`holder` names this agent in the records of downloads."""
    data_dir, host_id = settings.data_dir, settings.host_id
    forget_uploads(data_dir)
    hub = Hub(settings.hub_url, settings.hub_token.get_secret_value(), settings.ca_bundle)
    queue = JobQueue(store, settings.download_lease_seconds, lane=host_id)
    downloads = Downloads(queue, data_dir)
    users = ModelUsers(registry, JobQueue(store), downloads)
    outlines = Outlines(hub, patience)
    return ModelWeights(
        hub,
        HubModels(registry, hub, outlines, users, data_dir),
        KeptWeights(registry, downloads, users, data_dir, host_id),
        downloads,
        Uploads(registry, downloads, users, data_dir, host_id, settings.max_weights_bytes),
        download_worker(queue, hub, data_dir, holder, patience=patience),
        Sweeper(queue, JobKind.DOWNLOAD),
    )
