"""Everything of an agent that has to do with weights, and what of it runs in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from services.cluster.jobs.hold import Hold
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind
from services.cluster.jobs.sweeper import Sweeper
from services.cluster.jobs.worker import Worker
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.cluster.store.connection import Store
from services.inference.models.catalogue import ORIGIN
from services.inference.settings import InferenceSettings
from services.inference.weights.download_worker import download_worker
from services.inference.weights.downloads import Downloads, WeightsStatus
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
    registry: Registry
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

    async def download(self, name: str) -> AsyncGenerator[tuple[ModelRecord, WeightsStatus]]:
        """As Downloads.watch; a model of the catalogue becomes one of the hub on its way.

        Raises ModelNotFound.
        """
        model = await self.kept.model(name)
        if not model.commit and model.origin == ORIGIN:
            await self.registry.add_model(model)
            async with aclosing(self.downloads.watch(model)) as statuses:
                async for status in statuses:
                    yield model, status
            model = await self.kept.model(name)
        async with aclosing(self.downloads.watch(model)) as statuses:
            async for status in statuses:
                yield model, status

    async def close(self) -> None:
        await self.hub.close()


def model_weights(
    store: Store,
    registry: Registry,
    settings: InferenceSettings,
    holder: str,
    known: Mapping[str, ModelRecord],
    *,
    patience: Patience = Patience(),  # noqa: B008 frozen
) -> ModelWeights:
    """`holder` names this agent in the records of downloads; `known` is the catalogue, by name."""
    data_dir, host_id = settings.data_dir, settings.host_id
    forget_uploads(data_dir)
    hub = Hub(settings.hub_url, settings.hub_token.get_secret_value(), settings.ca_bundle)
    queue = JobQueue(store, settings.download_lease_seconds, lane=host_id)
    downloads = Downloads(queue, data_dir)
    users = ModelUsers(registry, JobQueue(store), downloads)
    outlines = Outlines(hub, patience)
    hub_models = HubModels(registry, hub, outlines, users, downloads, data_dir)
    max_bytes = settings.max_weights_bytes
    return ModelWeights(
        registry,
        hub,
        hub_models,
        KeptWeights(registry, downloads, users, data_dir, host_id, known),
        downloads,
        Uploads(registry, downloads, users, data_dir, host_id, max_bytes, known),
        download_worker(queue, hub, hub_models, downloads, data_dir, holder, patience=patience),
        Sweeper(queue, JobKind.DOWNLOAD),
    )
