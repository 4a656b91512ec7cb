"""What a person says of a model where its files do not, or say something else."""

from __future__ import annotations

from dataclasses import dataclass, fields

from services.cluster.errors import BadRequest
from services.cluster.fim import FAMILIES, FimFamily, family_named
from services.inference.chat_template import ChatTemplate
from services.inference.models.architectures import Architectures


@dataclass(frozen=True)
class ModelOverrides:
    """0 and "" leave what the files say. `chat_template` is the template itself."""

    context_tokens: int = 0
    fim_family: str = ""
    chat_template: str = ""
    tool_parser: str = ""
    reasoning_parser: str = ""

    def check(self, architectures: Architectures) -> None:
        """Raises BadRequest naming the field."""
        if self.context_tokens < 0:
            raise BadRequest("context_tokens must not be negative.", param="context_tokens")
        if self.chat_template:
            _check_template(self.chat_template)
        if self.fim_family:
            _family(self.fim_family)
        _check_parser("tool_parser", self.tool_parser, architectures.tool_parsers)
        _check_parser("reasoning_parser", self.reasoning_parser, architectures.reasoning_parsers)

    def context_of(self, name: str, own: int) -> int:
        """The model's context, of which the files say `own`. Raises BadRequest."""
        if not own and not self.context_tokens:
            raise BadRequest(
                f"The files of {name} do not say how many tokens it reads"
                " (max_position_embeddings): give context_tokens.",
                param="context_tokens",
            )
        if own and self.context_tokens > own:
            raise BadRequest(
                f"context_tokens is {self.context_tokens}; {name} was made for {own} at most.",
                param="context_tokens",
            )
        return self.context_tokens or own

    def family_of(self, name: str, special_tokens: frozenset[str]) -> FimFamily | None:
        """The family that was named, when the tokenizer has its tokens. Raises BadRequest."""
        if not self.fim_family:
            return None
        family = _family(self.fim_family)
        if missing := [text for text in family.tokens if text not in special_tokens]:
            raise BadRequest(
                f"The tokenizer of {name} has no {missing[0]}, which the fill-in-the-middle family"
                f" {self.fim_family} needs.",
                param="fim_family",
            )
        return family


OVERRIDES = frozenset(field.name for field in fields(ModelOverrides))


def _family(name: str) -> FimFamily:
    family = family_named(name)
    if family is None:
        known = ", ".join(known.family for known in FAMILIES)
        raise BadRequest(
            f"There is no fill-in-the-middle family {name[:100]!r}; there is {known}.",
            param="fim_family",
        )
    return family


def _check_template(source: str) -> None:
    try:
        ChatTemplate(source, {})
    except BadRequest as problem:
        raise BadRequest(problem.message, param="chat_template") from problem


def _check_parser(field: str, name: str, known: frozenset[str]) -> None:
    if name and name not in known:
        raise BadRequest(
            f"vLLM has no parser {name[:100]!r}; it has {', '.join(sorted(known))}.", param=field
        )
