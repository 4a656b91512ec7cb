"""Weights as an agent has them: a real hub over HTTP, a real Redis, real files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from pydantic import SecretStr
from safetensors.numpy import save_file

from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.cluster.store.connection import Store
from services.cluster.tasks import end
from services.inference.settings import InferenceSettings
from services.inference.weights.model_weights import ModelWeights, model_weights
from services.inference.weights.places import WeightsPlace
from services.inference.weights.transfer import Patience
from tests.inference.models.model_folders import write_model
from tests.inference.weights.hub_double import HubDouble, hub_double

MODEL = "owner/model"
BIG = "model-2-of-2.safetensors"
SOON = Patience(num_failures=3, first_pause_seconds=0.02)


@dataclass
class Host:
    weights: ModelWeights
    registry: Registry
    data_dir: Path
    host_id: str

    def place(self, record: ModelRecord) -> WeightsPlace:
        return WeightsPlace.of(self.data_dir, record)

    async def added(self) -> ModelRecord:
        return await self.weights.hub_models.add(MODEL, MODEL, "")

    async def downloaded(self, record: ModelRecord) -> None:
        async for _ in self.weights.downloads.watch(record):
            pass


@pytest.fixture
def hub() -> Iterator[HubDouble]:
    with hub_double() as hub:
        yield hub


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """With weights of some megabytes: BIG is twice that of a single answer."""
    folder = write_model(tmp_path / "origin" / "model")
    values = np.random.default_rng(7).random(1_000_000, np.float32)
    save_file({"b": values}, folder / BIG)
    (folder / "modeling_own.py").write_text("raise SystemExit")
    return folder


@asynccontextmanager
async def host(
    store: Store,
    hub: HubDouble,
    data_dir: Path,
    host_id: str = "here",
    *,
    works: bool = True,
    known: Mapping[str, ModelRecord] = MappingProxyType({}),
    **changes: Any,
) -> AsyncIterator[Host]:
    """`works`: it downloads what is asked for. `known`: its catalogue."""
    data_dir.mkdir(exist_ok=True)
    changes = {"hub_url": hub.url, "download_lease_seconds": 5, **changes}
    settings = InferenceSettings(
        data_dir=data_dir, host_id=host_id, cluster_key=SecretStr("k"), **changes
    )
    registry = Registry(store)
    weights = model_weights(store, registry, settings, f"agent/{host_id}", known, patience=SOON)
    running = asyncio.create_task(weights.run()) if works else None
    try:
        yield Host(weights, registry, data_dir, host_id)
    finally:
        if running:
            await end(running)
        await weights.close()


@pytest_asyncio.fixture
async def here(
    store: Store, hub: HubDouble, model_folder: Path, tmp_path: Path
) -> AsyncIterator[Host]:
    hub.add(MODEL, model_folder)
    async with host(store, hub, tmp_path / "data") as here:
        yield here


@pytest_asyncio.fixture
async def idle(
    store: Store, hub: HubDouble, model_folder: Path, tmp_path: Path
) -> AsyncIterator[Host]:
    """It downloads nothing."""
    hub.add(MODEL, model_folder)
    async with host(store, hub, tmp_path / "data", works=False) as idle:
        yield idle
