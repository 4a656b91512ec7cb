"""What a model folder says about its model, read from the files themselves."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from services.cluster.errors import BadRequest
from services.cluster.fim import recognise
from services.cluster.records import ModelRecord
from services.inference.chat_template import ChatTemplate
from services.inference.tokenization import TOKENIZER_FILE, read_json

CONFIG_FILE = "config.json"
_CONTEXT_FIELDS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---", re.DOTALL)
_LICENCE = re.compile(r"^(license(?:_name)?):[ \t]*(\S[^\n]*)$", re.MULTILINE)
_MAX_README_BYTES = 1024 * 1024


def is_model_folder(folder: Path) -> bool:
    """Whether the files that every model has are there; says nothing about what they hold."""
    return (folder / CONFIG_FILE).is_file() and any(folder.glob("*.safetensors"))


def read_model(name: str, folder: Path, *, origin: str, host_id: str = "") -> ModelRecord:
    """Raises BadRequest with a sentence when the folder is no model that can be served."""
    _check(folder)
    config = read_json(folder / CONFIG_FILE)
    architecture = _architecture(config)
    text_config = config.get("text_config")
    shape = text_config if isinstance(text_config, dict) else config
    generates = architecture.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration"))
    weights = sorted(folder.glob("*.safetensors"))
    special_tokens = _special_tokens(folder)
    family = recognise(special_tokens)
    template = ChatTemplate.of(folder, read_json(folder / "tokenizer_config.json"))
    return ModelRecord(
        name=name,
        origin=origin,
        local_path=str(folder),
        architecture=architecture,
        num_parameters=sum(_num_values(place) for place in weights),
        context_tokens=_context_tokens(shape),
        weights_bytes=sum(place.stat().st_size for place in weights),
        kv_values_per_token=_kv_values_per_token(shape) if generates else 0,
        num_layers=_count(shape, "num_hidden_layers"),
        num_heads=_count(shape, "num_attention_heads"),
        num_kv_heads=_num_kv_heads(shape),
        fim_family=family.family if family and generates else "",
        supports_completion=generates,
        supports_chat=generates and template is not None,
        supports_embeddings=not generates,
        supports_finetune=architecture.endswith("ForCausalLM"),
        licence=_licence(folder),
        host_id=host_id,
    )


def _check(folder: Path) -> None:
    if not folder.is_dir():
        raise BadRequest(f"There is no folder {folder} on the agent's host.", param="local_path")
    if not (folder / CONFIG_FILE).is_file():
        raise BadRequest(
            f"{folder} has no {CONFIG_FILE}: it must be a model folder as transformers saves it.",
            param="local_path",
        )
    if not any(folder.glob("*.safetensors")):
        raise BadRequest(
            f"{folder} has no .safetensors file; other formats can run code and are not read.",
            param="local_path",
        )
    if not (folder / TOKENIZER_FILE).is_file():
        raise BadRequest(
            f"{folder} has no {TOKENIZER_FILE}: save the model's fast tokenizer there.",
            param="local_path",
        )


def _architecture(config: Mapping[str, Any]) -> str:
    names = config.get("architectures")
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise BadRequest(f"{CONFIG_FILE} names no architecture in `architectures`.")
    if "auto_map" in config:
        raise BadRequest(
            f"{CONFIG_FILE} wants code of the model's own to be run (auto_map), which is refused."
        )
    return names[0]


def _context_tokens(shape: Mapping[str, Any]) -> int:
    for field in _CONTEXT_FIELDS:
        value = shape.get(field)
        if isinstance(value, int) and value > 0:
            return value
    raise BadRequest(f"{CONFIG_FILE} does not say how many tokens fit (max_position_embeddings).")


def _kv_values_per_token(shape: Mapping[str, Any]) -> int:
    """Keys and values of every layer; 0 where the names are not the usual ones."""
    num_layers = _count(shape, "num_hidden_layers")
    num_heads = _count(shape, "num_attention_heads")
    num_kv_heads = _num_kv_heads(shape)
    head_size = _count(shape, "head_dim") or _count(shape, "hidden_size") // max(num_heads, 1)
    return 2 * num_layers * num_kv_heads * head_size


def _num_kv_heads(shape: Mapping[str, Any]) -> int:
    return _count(shape, "num_key_value_heads") or _count(shape, "num_attention_heads")


def _count(shape: Mapping[str, Any], field: str) -> int:
    value = shape.get(field)
    return value if isinstance(value, int) and value > 0 else 0


def _num_values(weights: Path) -> int:
    """From the header; the weights themselves are not read."""
    try:
        with safe_open(weights, framework="numpy") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BadRequest(f"{weights.name} is not a whole safetensors file: {error}.") from error


def _special_tokens(folder: Path) -> frozenset[str]:
    added = read_json(folder / TOKENIZER_FILE).get("added_tokens")
    if not isinstance(added, list):
        return frozenset()
    return frozenset(str(token.get("content")) for token in added if isinstance(token, dict))


def _licence(folder: Path) -> str:
    """Of the front matter that model cards begin with; "" where it says nothing."""
    card = folder / "README.md"
    if not card.is_file() or card.stat().st_size > _MAX_README_BYTES:
        return ""
    matter = _FRONT_MATTER.match(card.read_text(encoding="utf-8", errors="replace"))
    found: dict[str, str] = dict(_LICENCE.findall(matter[1])) if matter else {}
    licence = found.get("license", "")
    named = found.get("license_name", licence) if licence == "other" else licence
    return named.strip("\"' ")
