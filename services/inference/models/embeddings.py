"""How a model that makes embeddings says so: the folder layout of sentence-transformers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from services.cluster.errors import BadRequest
from services.inference.tokenization import read_json

_MODULES = "modules.json"
_MOST = 100_000_000  # what is more is no model's
_SIZES = ("out_features", "word_embedding_dimension", "embedding_dimension")


def makes_embeddings(folder: Path) -> bool:
    return (folder / _MODULES).is_file()


def embedding_size(folder: Path, hidden_size: int) -> int:
    """Of the last module that says what comes out of it; without one, the model's own size."""
    sizes = [
        value
        for module in _modules(folder)
        for name in _SIZES
        if type(value := module.get(name)) is int and 0 < value <= _MOST
    ]
    return sizes[-1] if sizes else hidden_size


def longest_text(folder: Path) -> int:
    """Tokens, where the files of sentence-transformers say so; else 0."""
    value = read_json(folder / "sentence_bert_config.json").get("max_seq_length")
    return value if type(value) is int and 0 < value <= _MOST else 0


def _modules(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The config of each module, in the order in which they are applied."""
    place = folder / _MODULES
    if not place.is_file():
        return
    try:
        listed = json.loads(place.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{_MODULES} is not JSON: {error}.") from error
    for module in listed if isinstance(listed, list) else ():
        path = module.get("path") if isinstance(module, dict) else None
        # A folder beside it: what leads elsewhere is none of the model's files.
        if isinstance(path, str) and path and "/" not in path and not path.startswith("."):
            yield read_json(folder / path / "config.json")
