"""Fill-in-the-middle by model family: which tokens, in which order. A new family is a new row.

Sources: the model cards and tokenizers of the families; the paper of each for the order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from services.cluster.records import FimTokens


@dataclass(frozen=True)
class RepositoryForm:
    """How a family was taught files of one repository, which stand before the one at the cursor.

    `name_token` and the repository's name, then `file_token`, a path and a text for each file.
    `line_end` closes the name and each file. `cursor` takes the place of the family's `order`;
    "{path}" in it is that of the file at the cursor.
    """

    name_token: str
    file_token: str
    line_end: str
    cursor: tuple[str, ...]

    @property
    def tokens(self) -> tuple[str, ...]:
        """All that the form needs of a tokenizer."""
        own = (part for part in self.cursor if not part.startswith("{"))
        return (self.name_token, self.file_token, *own)


@dataclass(frozen=True)
class FimFamily:
    """`order`: token texts and the two parts, as the prompt is built.

    A family is recognised by having all tokens of `order`. `cursor_token` is the one that only a
    fill-in-the-middle prompt has. `stops` end the answer, as far as the model has them.
    `repository` is None for a family that was not taught files of a repository by tokens.
    """

    family: str
    order: tuple[str, ...]
    prefix: str
    suffix: str
    middle: str
    cursor_token: str
    stops: tuple[str, ...]
    repository: RepositoryForm | None = None

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


def _marks(
    family: str,
    prefix: str,
    suffix: str,
    middle: str,
    *stops: str,
    repository: RepositoryForm | None = None,
) -> FimFamily:
    """Prefix, suffix, middle: the order of most families."""
    order = (prefix, "{prefix}", suffix, "{suffix}", middle)
    return FimFamily(family, order, prefix, suffix, middle, middle, stops, repository)


# Figure 4 of the technical report of Qwen2.5-Coder.
_QWEN_REPOSITORY = RepositoryForm(
    "<|repo_name|>",
    "<|file_sep|>",
    "\n",
    (
        "<|file_sep|>",
        "{path}",
        "<|fim_prefix|>",
        "{prefix}",
        "<|fim_suffix|>",
        "{suffix}",
        "<|fim_middle|>",
    ),
)
# Section 5.1 of the paper of StarCoder2. The path at the cursor is a part of what was cut in three.
_STARCODER2_REPOSITORY = RepositoryForm(
    "<repo_name>",
    "<file_sep>",
    "",
    (
        "<file_sep>",
        "<fim_prefix>",
        "{path}",
        "{prefix}",
        "<fim_suffix>",
        "{suffix}",
        "<fim_middle>",
    ),
)

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
        repository=_QWEN_REPOSITORY,
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
        repository=_STARCODER2_REPOSITORY,
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
