"""Datasets as runs read them from the artifact store, and how many tokens they have."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from services.cluster.artifacts.manifest import ArtifactKind, Manifest
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import BadRequest, Conflict, NotFound
from services.finetune.files import TEST, TRAIN, DatasetFile, read_files
from services.finetune.tokens import TextTokenizer

_COUNTED_BYTES = 4 * 1024 * 1024  # of more text the rest is taken to be like the first


@dataclass(frozen=True)
class DatasetSize:
    """Files, and their tokens under one tokenizer."""

    num_train_files: int
    num_test_files: int
    num_train_tokens: int
    num_test_tokens: int


class Datasets:
    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts

    async def find(self, dataset_id: str, project_id: str) -> Manifest:
        """Raises NotFound, BadRequest for another project's, Conflict without an id."""
        if not dataset_id:
            raise Conflict(
                "The project has no dataset yet; scan its sources first.", param="dataset_id"
            )
        manifest = await asyncio.to_thread(self._manifest, dataset_id)
        if project_id not in ("", manifest.project_id):
            raise BadRequest(
                f"Dataset {dataset_id} belongs to another project.", param="dataset_id"
            )
        return manifest

    def folder(self, dataset_id: str) -> Path:
        """Raises NotFound."""
        return self._artifacts.path(ArtifactKind.DATASET, dataset_id)

    async def size(self, dataset_id: str, model_folder: Path) -> DatasetSize:
        """Raises BadRequest when dataset or tokenizer cannot be read."""
        return await asyncio.to_thread(_size, self.folder(dataset_id), model_folder)

    def _manifest(self, dataset_id: str) -> Manifest:
        try:
            return self._artifacts.manifest(ArtifactKind.DATASET, dataset_id)
        except NotFound:
            raise NotFound(f"There is no dataset {dataset_id[:128]}.", param="dataset_id") from None


@lru_cache(maxsize=32)
def _size(dataset_folder: Path, model_folder: Path) -> DatasetSize:
    """Datasets never change, so it is counted once."""
    tokenizer = TextTokenizer(model_folder)
    train = read_files(dataset_folder / TRAIN)
    test = read_files(dataset_folder / TEST)
    return DatasetSize(
        num_train_files=len(train),
        num_test_files=len(test),
        num_train_tokens=_num_tokens(train, tokenizer),
        num_test_tokens=_num_tokens(test, tokenizer),
    )


def _num_tokens(files: Sequence[DatasetFile], tokenizer: TextTokenizer) -> int:
    counted_chars, num_tokens = 0, 0
    for file in files:
        if counted_chars >= _COUNTED_BYTES:
            break
        counted_chars += len(file.text)
        num_tokens += len(tokenizer.encode(file.text)) + 1
    all_chars = sum(len(file.text) for file in files)
    return round(num_tokens * all_chars / counted_chars) if counted_chars else 0
