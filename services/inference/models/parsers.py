"""Which of vLLM's parsers reads a model's tool calls and reasoning: the table parsers.jsonl.

By the model_type of config.json and a text that the chat template must have; the first line that
fits counts. A family that is not there has no parser until somebody names one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_TABLE = Path(__file__).with_name("parsers.jsonl")
TOOLS, REASONING = "tools", "reasoning"


@dataclass(frozen=True)
class ParserRule:
    """`of` is what the parser reads: tools or reasoning."""

    of: str
    parser: str
    model_types: tuple[str, ...]
    template_has: str

    def fits(self, of: str, model_type: str, template: str) -> bool:
        return of == self.of and model_type in self.model_types and self.template_has in template


def parser_rules() -> tuple[ParserRule, ...]:
    lines = _TABLE.read_text(encoding="utf-8").splitlines()
    return tuple(
        ParserRule(**{**row, "model_types": tuple(row["model_types"])})
        for row in map(json.loads, lines)
    )


def parser_of(of: str, model_type: str, template: str) -> str:
    """An empty text where no rule fits, and for a model without chat template."""
    if not template:
        return ""
    fitting = (rule for rule in parser_rules() if rule.fits(of, model_type, template))
    return next((rule.parser for rule in fitting), "")
