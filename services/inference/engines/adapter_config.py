"""What an adapter's adapter_config.json says of ranks and scaling, read before an engine does.

vLLM 0.32 takes any `lora_alpha`, and one that makes infinities spoils the answers of others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from services.cluster.errors import BadRequest
from services.inference.tokenization import read_json

T = TypeVar("T", int, float)

CONFIG = "adapter_config.json"
_MAX_ALPHA = 65536
_MAX_SCALING = 1024
_MODULE_NAME = re.compile(r"\^?[\w.-]+")  # what more a pattern may say can take for ever to match
_SHOWN_LETTERS = 40


@dataclass(frozen=True)
class AdapterConfig:
    """Patterns are ends of module names, the first that matches counts, as in peft and vLLM."""

    rank: int
    alpha: float
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    rank_stabilized: bool

    def rank_of(self, module: str) -> int:
        return _matching(self.rank_pattern, module, self.rank)

    def scaling_of(self, module: str) -> float:
        alpha = _matching(self.alpha_pattern, module, self.alpha)
        return self._scaling(alpha, self.rank_of(module))

    @property
    def largest_scaling(self) -> float:
        alpha = max(self.alpha, *self.alpha_pattern.values(), 0)
        return self._scaling(alpha, min([self.rank, *self.rank_pattern.values()]))

    def _scaling(self, alpha: float, rank: int) -> float:
        return alpha / (math.sqrt(rank) if self.rank_stabilized else rank)


def read_config(folder: Path, max_rank: int) -> AdapterConfig:
    """Raises BadRequest when it describes no LoRA, or one that no training gives."""
    config = read_json(folder / CONFIG, finite=True)
    if config.get("peft_type") != "LORA":
        raise BadRequest(f"{CONFIG} must name the peft_type LORA.")
    rank_stabilized = config.get("use_rslora") or False
    if not isinstance(rank_stabilized, bool):
        raise BadRequest(f"{CONFIG}: use_rslora must be true or false.")
    found = AdapterConfig(
        rank=_rank(config.get("r"), max_rank),
        alpha=_alpha("lora_alpha", config.get("lora_alpha")),
        rank_pattern={
            module: _rank(rank, max_rank)
            for module, rank in _pattern(config, "rank_pattern").items()
        },
        alpha_pattern={
            module: _alpha("alpha_pattern", alpha)
            for module, alpha in _pattern(config, "alpha_pattern").items()
        },
        rank_stabilized=rank_stabilized,
    )
    if found.largest_scaling > _MAX_SCALING:
        raise BadRequest(
            f"The adapter scales what it adds by {found.largest_scaling:g} (lora_alpha by rank);"
            f" at most {_MAX_SCALING} is taken."
        )
    return found


def _rank(value: object, max_rank: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= max_rank:
        raise BadRequest(
            f"The adapter's rank is {_shown(value)}; this replica takes 1 to {max_rank}"
            " (HEARTH_MAX_LORA_RANK)."
        )
    return value


def _alpha(name: str, value: object) -> float:
    # Written so that NaN, infinity and whole numbers beyond every float are refused too.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= _MAX_ALPHA:
        raise BadRequest(
            f"The adapter's {name} is {_shown(value)}; it must be over 0 and at most {_MAX_ALPHA}."
        )
    return float(value)


def _pattern(config: Mapping[str, Any], name: str) -> Mapping[str, object]:
    pattern = config.get(name) or {}
    if not isinstance(pattern, dict) or not all(map(_MODULE_NAME.fullmatch, pattern)):
        raise BadRequest(f"{CONFIG}: {name} must give values to names of modules.")
    return pattern


def _matching(pattern: Mapping[str, T], module: str, default: T) -> T:
    for key, value in pattern.items():
        if re.match(rf"(.*\.)?({key})$", module):
            return value
    return default


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}..."
