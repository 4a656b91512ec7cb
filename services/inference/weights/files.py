"""Which files of a model are taken, from a hub or an archive: a table, and the reason when none is.

Never code and never pickles: both would run what somebody else wrote.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

from services.cluster.errors import BadRequest
from services.inference.models.weight_files import CONFIG_FILE, INDEX_FILE, without_safetensors

_SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
_WEIGHTS = re.compile(r"([0-9]_[A-Za-z]+/)?[^/]+\.safetensors")
# The folders are those of sentence-transformers (1_Pooling) and of named chat templates.
_SMALL = re.compile(
    r"config[\w-]*\.json|generation_config\.json|model\.safetensors\.index\.json"
    r"|tokenizer[\w-]*\.(json|model)|(special_tokens_map|added_tokens|vocab|tekken)\.json"
    r"|vocab\.txt|merges\.txt|spiece\.model|sentencepiece\.bpe\.model|[\w.-]+\.tiktoken"
    r"|(modules|sentence_bert_config|sentence_xlnet_config)\.json|[0-9]_[A-Za-z]+/config\.json"
    r"|((image_|video_)?(pre)?processor_config|quantize_config|hf_quant_config)\.json"
    r"|chat_template\.json|([\w-]+/)?[\w-]+\.jinja"
    r"|(README|LICEN[SC]E|NOTICE)[\w.-]*"
)
_CODE = frozenset({".py", ".pyc", ".so", ".sh"})


@dataclass(frozen=True)
class Chosen:
    """Paths with "/", in order."""

    small: tuple[str, ...]
    weights: tuple[str, ...]


def choose_files(paths: Collection[str], whose: str) -> Chosen:
    """Raises BadRequest when they are no model that is served; `whose` begins the sentence.

    Where a repository holds its weights twice, as Mistral's do, only those are taken that
    transformers would load.
    """
    small = tuple(sorted(path for path in paths if _is_small(path)))
    weights = sorted(path for path in paths if _WEIGHTS.fullmatch(path))
    top = [path for path in weights if "/" not in path]
    if CONFIG_FILE not in small:
        raise BadRequest(
            f"{whose} has no {CONFIG_FILE}: it must be a model as transformers saves it."
            f"{_seen(paths)}"
        )
    if not top:
        raise BadRequest(without_safetensors(paths, whose))
    own: list[str] = []
    if INDEX_FILE in small:
        own = [path for path in top if _SHARD.fullmatch(path)]
    elif "model.safetensors" in top:
        own = ["model.safetensors"]
    if own:
        weights = [path for path in weights if "/" in path or path in own]
    return Chosen(small, tuple(weights))


def _is_small(path: str) -> bool:
    return _SMALL.fullmatch(path) is not None and PurePosixPath(path).suffix not in _CODE


def _seen(paths: Collection[str]) -> str:
    first = ", ".join(sorted(paths)[:3])
    return f" It has {first}{' and more' if len(paths) > 3 else ''}." if paths else " It is empty."
