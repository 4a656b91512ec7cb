"""What the pinned vLLM serves: architectures.json, which vllm_registry.py writes.

Read instead of vLLM itself, whose import takes seconds and a gigabyte: the agent never imports it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("architectures.json")
_GENERATES = ("ForCausalLM", "ForConditionalGeneration")


class Kind(StrEnum):
    """What a class is for; the last three are nothing that Hearth serves."""

    GENERATE = "generate"
    MULTIMODAL = "multimodal"
    EMBED = "embed"
    SCORE = "score"
    SPEECH = "speech"
    DRAFT = "draft"


SERVED = frozenset({Kind.GENERATE, Kind.MULTIMODAL, Kind.EMBED})


@dataclass(frozen=True)
class Architecture:
    """`has_lora`: vLLM serves LoRA adapters on it. `can_pipeline`: it deals its layers out."""

    name: str
    kind: Kind
    has_lora: bool
    can_pipeline: bool

    @property
    def can_learn(self) -> bool:
        """The trainer adapts text-only language models, and vLLM must serve what it made."""
        return self.kind is Kind.GENERATE and self.has_lora and self.name.endswith("ForCausalLM")


@dataclass(frozen=True)
class Architectures:
    """`model_types` are those that need no code of the model's own."""

    vllm: str
    by_name: Mapping[str, Architecture]
    tool_parsers: frozenset[str]
    reasoning_parsers: frozenset[str]
    quantizations: frozenset[str]
    model_types: frozenset[str]

    @classmethod
    @cache
    def load(cls) -> Architectures:
        table = json.loads(_TABLE.read_text(encoding="utf-8"))
        one_stage = frozenset(table["one_stage"])
        return cls(
            vllm=table["vllm"],
            by_name={
                name: Architecture(name, Kind(kind), has_lora, _pipelines(kind, name, one_stage))
                for kind, names in table["architectures"].items()
                for name, has_lora in names.items()
            },
            tool_parsers=frozenset(table["tool_parsers"]),
            reasoning_parsers=frozenset(table["reasoning_parsers"]),
            quantizations=frozenset(table["quantizations"]),
            model_types=frozenset(table["model_types"]),
        )

    def find(self, name: str) -> Architecture | None:
        """A class XModel that vLLM does not know is XForCausalLM without its head: it embeds."""
        known = self.by_name.get(name)
        if known or not name.endswith("Model"):
            return known
        stem = name.removesuffix("Model")
        whole = next(
            (self.by_name[stem + end] for end in _GENERATES if stem + end in self.by_name), None
        )
        return Architecture(name, Kind.EMBED, whole.has_lora, False) if whole else None


def _pipelines(kind: str, name: str, one_stage: frozenset[str]) -> bool:
    return kind in (Kind.GENERATE, Kind.MULTIMODAL) and name not in one_stage
