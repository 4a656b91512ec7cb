"""What a model's files say about it. Of its weights only the headers are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.cluster.errors import BadRequest
from services.cluster.fim import recognise
from services.cluster.records import ModelRecord
from services.inference.chat_template import ChatTemplate
from services.inference.models.architectures import SERVED, Architecture, Architectures, Kind
from services.inference.models.embeddings import embedding_size, longest_text, makes_embeddings
from services.inference.models.overrides import ModelOverrides
from services.inference.models.parsers import REASONING, TOOLS, parser_of
from services.inference.models.shape import ModelShape, quantization, read_shape
from services.inference.models.weight_files import (
    CONFIG_FILE,
    NumValues,
    num_values,
    weight_names,
)
from services.inference.tokenization import TOKENIZER_FILE, read_json

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---", re.DOTALL)
_LICENCE = re.compile(r"^(license(?:_name)?):[ \t]*(\S[^\n]*)$", re.MULTILINE)
_MAX_README_BYTES = 1024 * 1024
_IMAGES = ("vision_config", "image_token_id", "image_token_index")
_WHAT_FOR = {
    Kind.SCORE: "scores or classifies texts",
    Kind.SPEECH: "writes down speech",
    Kind.DRAFT: "drafts for another model",
}


@dataclass(frozen=True)
class _Files:
    """The small files of a model, and the names of those with weights."""

    folder: Path
    config: Mapping[str, Any]
    tokenizer_config: Mapping[str, Any]
    special_tokens: frozenset[str]
    weights: Sequence[str]


def read_model(
    name: str,
    folder: Path,
    *,
    origin: str,
    overrides: ModelOverrides | None = None,
    host_id: str = "",
) -> ModelRecord:
    """Raises BadRequest with a sentence when it is no model that can be served; `param` names the
    override that would help where one would.
    """
    given = overrides or ModelOverrides()
    architectures = Architectures.load()
    given.check(architectures)
    files = _read_files(folder)
    architecture = _architecture(files.config, architectures)
    method, bits = quantization(files.config, architectures.quantizations, architectures.vllm)
    shape = read_shape(files.config, files.tokenizer_config)
    embeds = architecture.kind is Kind.EMBED or makes_embeddings(folder)
    return ModelRecord(
        name=name,
        origin=origin,
        local_path=str(folder),
        host_id=host_id,
        architecture=architecture.name,
        num_layers=shape.num_layers,
        num_heads=shape.num_heads,
        num_kv_heads=shape.num_kv_heads,
        kv_values_per_token=_kv_values(architecture, architectures, shape),
        width_divisor=shape.width_divisor,
        quantization=method,
        licence=_licence(folder),
        supports_completion=not embeds,
        supports_embeddings=embeds,
        supports_finetune=architecture.can_learn and not embeds and not method,
        **_size(files, shape, bits),
        **(
            _embedding_facts(name, files, shape, given)
            if embeds
            else _generation_facts(name, files, architecture, shape, given)
        ),
    )


def check_config(folder: Path) -> None:
    """What config.json alone forbids. Raises BadRequest."""
    config, known = read_json(folder / CONFIG_FILE), Architectures.load()
    _architecture(config, known)
    quantization(config, known.quantizations, known.vllm)


def _embedding_facts(
    name: str, files: _Files, shape: ModelShape, given: ModelOverrides
) -> dict[str, Any]:
    own = longest_text(files.folder) or shape.context_tokens
    return {
        "context_tokens": given.context_of(name, own),
        "embedding_size": embedding_size(files.folder, shape.hidden_size),
    }


def _generation_facts(
    name: str, files: _Files, architecture: Architecture, shape: ModelShape, given: ModelOverrides
) -> dict[str, Any]:
    own = ChatTemplate.of(files.folder, files.tokenizer_config)
    template = given.chat_template or (own.source if own else "")
    family = given.family_of(name, files.special_tokens) or recognise(files.special_tokens)
    model_type = str(files.config.get("model_type", ""))
    tool_parser = given.tool_parser or parser_of(TOOLS, model_type, template)
    reasoning_parser = given.reasoning_parser or parser_of(REASONING, model_type, template)
    return {
        "context_tokens": given.context_of(name, shape.context_tokens),
        "fim_family": family.family if family else "",
        "chat_template": given.chat_template,
        "supports_chat": bool(template),
        "supports_toolbox": bool(template),
        "tool_parser": tool_parser,
        "supports_tools": bool(tool_parser and template),
        "reasoning_parser": reasoning_parser,
        "supports_reasoning": bool(reasoning_parser and template),
        "supports_images": architecture.kind is Kind.MULTIMODAL
        and any(field in files.config for field in _IMAGES),
    }


def _read_files(folder: Path) -> _Files:
    if not folder.is_dir():
        raise BadRequest(f"There is no folder {folder} on the agent's host.", param="local_path")
    names = {place.name for place in folder.iterdir()}
    weights = weight_names(folder, names)  # first: says more where the format is another one
    if not (folder / CONFIG_FILE).is_file():
        raise BadRequest(
            f"{folder} has no {CONFIG_FILE}: it must be a model folder as transformers saves it.",
            param="local_path",
        )
    if not (folder / TOKENIZER_FILE).is_file():
        raise BadRequest(
            f"{folder} has no {TOKENIZER_FILE}: save the model's fast tokenizer there.",
            param="local_path",
        )
    return _Files(
        folder=folder,
        config=read_json(folder / CONFIG_FILE),
        tokenizer_config=read_json(folder / "tokenizer_config.json"),
        special_tokens=_special_tokens(folder),
        weights=weights,
    )


def _architecture(config: Mapping[str, Any], architectures: Architectures) -> Architecture:
    names = config.get("architectures")
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise BadRequest(f"{CONFIG_FILE} names no architecture in `architectures`.")
    found = architectures.find(names[0])
    if found is None:
        own_code = " and brings code of its own (auto_map), which is not run" * (
            "auto_map" in config
        )
        raise BadRequest(
            f"The model is a {names[0]}, which vLLM {architectures.vllm} does not serve{own_code}."
        )
    if found.kind not in SERVED:
        raise BadRequest(
            f"The model is a {names[0]}, which {_WHAT_FOR[found.kind]}; models that generate text"
            " or make embeddings are served."
        )
    model_type = str(config.get("model_type"))
    if "auto_map" in config and model_type not in architectures.model_types:
        raise BadRequest(
            f"{CONFIG_FILE} wants code of the model's own to be run (auto_map), which is refused;"
            f" neither vLLM {architectures.vllm} nor transformers know its model_type {model_type}."
        )
    return found


def _kv_values(architecture: Architecture, known: Architectures, shape: ModelShape) -> int:
    """An encoder reads a text at once and keeps nothing of it."""
    stem = architecture.name.removesuffix("Model")
    decodes = architecture.kind is not Kind.EMBED or f"{stem}ForCausalLM" in known.by_name
    return shape.kv_values_per_token if decodes else 0


def _size(files: _Files, shape: ModelShape, bits: int) -> dict[str, int]:
    values = num_values(files.folder, files.weights, bits)
    return {
        "num_parameters": values.total,
        "num_active_parameters": _num_active(values, shape),
        "weights_bytes": sum((files.folder / name).stat().st_size for name in files.weights),
    }


def _num_active(values: NumValues, shape: ModelShape) -> int:
    """0 where every token goes through all of them."""
    if not (values.of_experts and shape.num_experts and shape.num_experts_per_token):
        return 0
    resting = values.of_experts * (shape.num_experts - shape.num_experts_per_token)
    return values.total - resting // shape.num_experts


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
