"""Base models of the catalogue, as far as a run on this host can train them."""

from __future__ import annotations

import asyncio
import hashlib
from functools import lru_cache
from pathlib import Path

from services.cluster.durable_files import sha256_of
from services.cluster.errors import BadRequest, Conflict, ModelNotFound
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry


class Bases:
    """`data_dir` is where weights are that Hearth keeps."""

    def __init__(self, registry: Registry, host_id: str, data_dir: Path) -> None:
        self._registry = registry
        self._data_dir = data_dir
        self._host_id = host_id

    async def get(self, name: str) -> ModelRecord:
        """An empty name means the only one there is. Its `local_path` is absolute.

        Raises ModelNotFound, or BadRequest for one that cannot be trained here.
        """
        models = (await self._registry.view()).models
        if not name:
            trainable = [model for model in models.values() if model.supports_finetune]
            if len(trainable) != 1:
                known = ", ".join(model.name for model in trainable) or "none"
                raise BadRequest(
                    f"Say which model to train; those that can be are: {known}.", param="model"
                )
            return self._checked(trainable[0])
        if name not in models:
            raise ModelNotFound(f"There is no model {name[:200]} in the catalogue.", param="model")
        return self._checked(models[name])

    def _checked(self, model: ModelRecord) -> ModelRecord:
        if not model.supports_finetune:
            raise BadRequest(
                f"{model.name} cannot be fine-tuned: it does not generate text.", param="model"
            )
        if model.host_id not in ("", self._host_id):
            raise Conflict(
                f"The weights of {model.name} are on host {model.host_id}; this service trains on"
                f" host {self._host_id}.",
                param="model",
            )
        folder = model.folder(self._data_dir)
        if not model.local_path or not folder.is_dir():
            raise Conflict(
                f"The weights of {model.name} are not on host {self._host_id} yet.", param="model"
            )
        return model.model_copy(update={"local_path": str(folder)})


async def revision_of(model: ModelRecord) -> str:
    """The hub's, or for a local folder one SHA-256 over its weights."""
    if model.commit or model.revision:
        return model.commit or model.revision
    return await asyncio.to_thread(_revision_of_folder, Path(model.local_path))


def _revision_of_folder(folder: Path) -> str:
    places = sorted(folder.glob("*.safetensors"))
    return _hash_of(tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in places))


@lru_cache(maxsize=16)
def _hash_of(described: tuple[tuple[str, int, int], ...]) -> str:
    """Reads all the weights once; size and time say whether they are still the same."""
    whole = hashlib.sha256()
    for place, _, _ in described:
        whole.update(f"{Path(place).name} {sha256_of(Path(place))}\n".encode())
    return whole.hexdigest()
