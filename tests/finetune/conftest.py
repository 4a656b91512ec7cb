"""The tiny model, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.tiny_model import write_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny-model")
    write_model(folder)
    return folder
