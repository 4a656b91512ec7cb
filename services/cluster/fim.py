"""Fill-in-the-middle by model family: which tokens, in which order. A new family is a new row.

Sources: the model cards and tokenizers of the families; the paper of each for the order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from services.cluster.records import FimTokens


@dataclass(frozen=True)
class FimFamily:
    """`order`: token texts and the two parts, as the prompt is built.

    A family is recognised by having all tokens of `order`. `cursor_token` is the one that only a
    fill-in-the-middle prompt has. `stops` end the answer, as far as the model has them.
    """

    family: str
    order: tuple[str, ...]
    prefix: str
    suffix: str
    middle: str
    cursor_token: str
    stops: tuple[str, ...]

    @property
    def tokens(self) -> tuple[str, ...]:
        return tuple(part for part in self.order if not part.startswith("{"))

    def stop_token_ids(self, special_tokens: Mapping[str, int]) -> tuple[int, ...]:
        texts = dict.fromkeys((*self.stops, *self.tokens))
        return tuple(special_tokens[text] for text in texts if text in special_tokens)

    def record(self, special_tokens: Collection[str]) -> FimTokens:
        """What clients are told: those that build the prompt themselves need it."""
        present = tuple(text for text in self.stops if text in special_tokens)
        return FimTokens(
            family=self.family,
            prefix=self.prefix,
            suffix=self.suffix,
            middle=self.middle,
            end=present[0] if present else "",
            extra_stop=present[1:],
        )


def _marks(family: str, prefix: str, suffix: str, middle: str, *stops: str) -> FimFamily:
    """Prefix, suffix, middle: the order of most families."""
    order = (prefix, "{prefix}", suffix, "{suffix}", middle)
    return FimFamily(family, order, prefix, suffix, middle, middle, stops)


# The first family whose tokens are all there is taken, so the more particular come first.
FAMILIES = (
    _marks(
        "qwen2.5-coder",
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
        "<|endoftext|>",
        "<|fim_pad|>",
        "<|repo_name|>",
        "<|file_sep|>",
        "<|im_start|>",
        "<|im_end|>",
    ),
    FimFamily(
        "codegemma",
        ("<bos>", "<|fim_prefix|>", "{prefix}", "<|fim_suffix|>", "{suffix}", "<|fim_middle|>"),
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
        "<|fim_middle|>",
        ("<|file_separator|>", "<eos>", "<end_of_turn>"),
    ),
    _marks(
        "starcoder2",
        "<fim_prefix>",
        "<fim_suffix>",
        "<fim_middle>",
        "<|endoftext|>",
        "<file_sep>",
        "<repo_name>",
        "<fim_pad>",
    ),
    _marks("santacoder", "<fim-prefix>", "<fim-suffix>", "<fim-middle>", "<|endoftext|>"),
    FimFamily(
        "deepseek-coder",
        (
            "<｜begin▁of▁sentence｜>",
            "<｜fim▁begin｜>",
            "{prefix}",
            "<｜fim▁hole｜>",
            "{suffix}",
            "<｜fim▁end｜>",
        ),
        "<｜fim▁begin｜>",
        "<｜fim▁hole｜>",
        "<｜fim▁end｜>",
        "<｜fim▁hole｜>",
        ("<｜end▁of▁sentence｜>", "<|EOT|>"),
    ),
    FimFamily(
        "codellama",
        ("<s>", "▁<PRE>", "{prefix}", "▁<SUF>", "{suffix}", "▁<MID>"),
        "▁<PRE>",
        "▁<SUF>",
        "▁<MID>",
        "▁<MID>",
        ("▁<EOT>", "</s>"),
    ),
    FimFamily(
        "codestral",
        ("<s>", "[SUFFIX]", "{suffix}", "[PREFIX]", "{prefix}"),
        "[PREFIX]",
        "[SUFFIX]",
        "",
        "[SUFFIX]",
        ("</s>",),
    ),
    _marks(
        "granite",
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
        "<|end_of_text|>",
        "<|filename|>",
        "<|reponame|>",
    ),
    FimFamily(
        "seed-coder",
        ("<[fim-suffix]>", "{suffix}", "<[fim-prefix]>", "{prefix}", "<[fim-middle]>"),
        "<[fim-prefix]>",
        "<[fim-suffix]>",
        "<[fim-middle]>",
        "<[fim-middle]>",
        ("<[end▁of▁sentence]>",),
    ),
)


def family_named(name: str) -> FimFamily | None:
    return next((family for family in FAMILIES if family.family == name), None)


def recognise(special_tokens: Collection[str]) -> FimFamily | None:
    """The family whose tokens a tokenizer has.

    Families that share their marks are told apart by their stop tokens: of those whose marks are
    all there, the one with the most stop tokens present.
    """
    matching = [
        family for family in FAMILIES if all(text in special_tokens for text in family.tokens)
    ]
    return max(
        matching,
        key=lambda family: sum(text in special_tokens for text in family.stops),
        default=None,
    )
