"""The tiny model, made once; one thread, as a trainer beside a serving engine has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import torch

from services.cluster.store.connection import Store
from tests.contracts.tiny_model import write_model
from tests.finetune.desk import Desk, make_desk


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny-model")
    write_model(folder)
    return folder


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    known = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(known)


@pytest_asyncio.fixture
async def desk(store: Store, tiny_model: Path, tmp_path: Path) -> Desk:
    return await make_desk(store, tiny_model, tmp_path)
