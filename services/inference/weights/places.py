"""Where the weights of a model are on this host.

weights/OWNER@MODEL/COMMIT/        whole: it appears by one rename, its manifest written last
weights/OWNER@MODEL/.COMMIT.part/  on its way; goes on from there
weights/.upload-*/                 of an archive that is being taken in
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from services.cluster import durable_files
from services.cluster.artifacts.disk_space import telling_full_disk
from services.cluster.artifacts.manifest import ManifestFile
from services.cluster.records import ModelRecord, Record

WEIGHTS = "weights"  # in the data volume
MANIFEST = "manifest.json"
_INCOMING = ".upload-"


class WeightsManifest(Record):
    model: str
    commit: str
    files: tuple[ManifestFile, ...]
    created_at: float

    @property
    def record_id(self) -> str:
        return self.model


class WeightsPlace:
    """Of one commit of a model. `relative` is to the data volume, as in the model's record."""

    def __init__(self, data_dir: Path, model: str, commit: str) -> None:
        # No model's name has an "@", so no two models share a folder.
        self.relative = f"{WEIGHTS}/{model.replace('/', '@')}/{commit}"
        self.model, self.commit = model, commit
        self.whole = data_dir / self.relative
        self.part = self.whole.with_name(f".{commit}.part")
        self.outline = self.whole.with_name(f".{commit}.outline")

    @classmethod
    def of(cls, data_dir: Path, record: ModelRecord) -> WeightsPlace:
        return cls(data_dir, record.name, record.commit)

    @property
    def is_whole(self) -> bool:
        return (self.whole / MANIFEST).is_file()

    def arrived_bytes(self) -> int:
        """Of what is whole or on its way."""
        return tree_bytes(self.whole if self.is_whole else self.part)

    def publish(self, files: Iterable[ManifestFile], folder: Path | None = None) -> None:
        """Makes it whole, from `part` or another folder beside it."""
        folder = folder or self.part
        manifest = WeightsManifest(
            model=self.model, commit=self.commit, files=tuple(files), created_at=time.time()
        )
        with telling_full_disk(folder):
            durable_files.make_folder(self.whole.parent)
            durable_files.sync_tree(folder)
            durable_files.write(folder / MANIFEST, manifest.model_dump_json())
            forget(self.whole)  # what a deletion left that was broken off
            os.rename(folder, self.whole)
            durable_files.sync(self.whole.parent)

    def discard(self) -> None:
        """Forgets what is on its way."""
        forget(self.part)
        forget(self.outline)
        with contextlib.suppress(OSError):
            self.whole.parent.rmdir()  # another commit may be there


def delete_weights(data_dir: Path, model: str) -> int:
    """Of every commit, and what is on its way; how many bytes that were."""
    folder = data_dir / WEIGHTS / model.replace("/", "@")
    freed = tree_bytes(folder)
    for manifest in folder.glob(f"*/{MANIFEST}"):
        manifest.unlink()  # first: what is left when this is broken off is not whole
        durable_files.sync(manifest.parent)
    forget(folder)
    return freed


def forget_others(place: WeightsPlace) -> None:
    """Other commits of the same model."""
    kept = {place.whole, place.part, place.outline}
    for folder in place.whole.parent.iterdir():
        if folder not in kept:
            (folder / MANIFEST).unlink(missing_ok=True)
            forget(folder)


def upload_folder(data_dir: Path, name: str) -> Path:
    return data_dir / WEIGHTS / f"{_INCOMING}{name}"


def forget_uploads(data_dir: Path) -> None:
    """Those that a killed agent was taking in."""
    for folder in (data_dir / WEIGHTS).glob(f"{_INCOMING}*"):
        forget(folder)


def forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def tree_bytes(folder: Path) -> int:
    """Of every file below; 0 for a folder that is not there."""
    return sum(_size(place) for place in durable_files.files_below(folder))


def _size(place: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return place.lstat().st_size
    return 0
