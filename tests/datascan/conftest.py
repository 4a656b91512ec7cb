"""What scans of a test's own process need, on real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from services.cluster.artifacts.store import ArtifactStore
from services.cluster.datasets import Datasets
from services.cluster.jobs.queue import JobQueue
from services.cluster.projects import Projects
from services.cluster.registry import Registry
from services.cluster.registry_cache import RegistryCache
from services.cluster.settings import ClusterSettings
from services.cluster.sources import Sources
from services.cluster.store.connection import Store
from services.datascan.replicas import Replicas
from services.datascan.scan_attempt import Workplace
from services.datascan.scans import Scans
from services.datascan.settings import DatascanSettings
from services.datascan.uploads import Uploads
from tests.datascan.scanning import Scanning


@pytest_asyncio.fixture
async def scanning(store: Store, settings: ClusterSettings) -> AsyncIterator[Scanning]:
    cache = RegistryCache(Registry(store))
    await cache.start()
    own = DatascanSettings(
        redis_url=settings.redis_url,
        data_dir=settings.data_dir,
        cluster_key=settings.cluster_key,
        scan_delay_seconds=0,
    )
    place = Workplace(
        settings=own,
        jobs=JobQueue(store),
        projects=Projects(store),
        sources=Sources(store, 0),
        datasets=Datasets(store),
        artifacts=ArtifactStore(settings.data_dir),
        replicas=Replicas(cache, own),
    )
    scans = Scans(place.jobs, place.projects, place.sources)
    uploads = Uploads(own, place.projects, place.sources, place.artifacts)
    yield Scanning(place, cache, scans, uploads)
    await place.replicas.close()
    await cache.close()
