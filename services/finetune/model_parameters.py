"""The table of parameters as one base model narrows it. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.finetune.parameters import PARAMETERS, Parameter, Value


def narrowed(
    context_tokens: int, target_modules: Sequence[str], *, has_fim: bool
) -> tuple[Parameter, ...]:
    """`context_tokens` and `target_modules` are the model's own."""
    modules = tuple(target_modules)
    changes: dict[str, dict[str, Value | tuple[str, ...]]] = {
        "context_tokens": {
            "maximum": context_tokens,
            "default": min(_default("context_tokens"), context_tokens),
        },
        "target_modules": {"choices": modules, "default": list(modules)},
    }
    if not has_fim:
        changes["fim_share"] = {"maximum": 0, "default": 0.0}
    return tuple(
        replace(parameter, **changes.get(parameter.name, {}))  # type: ignore[arg-type]
        for parameter in PARAMETERS
    )


def _default(name: str) -> int:
    (found,) = (p.default for p in PARAMETERS if p.name == name)
    if not isinstance(found, int):
        raise TypeError(f"The default of {name} is no whole number.")
    return found
